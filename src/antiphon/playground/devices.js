// Microphones and speakers to choose from. Browsers name them only once the microphone was allowed.

/** Tell `form` about the devices now and whenever they change. Return a function that looks again. */
export function watchDevices(form, speakerField) {
  const media = navigator.mediaDevices;
  speakerField.hidden = !('setSinkId' in HTMLMediaElement.prototype);
  const look = async () => {
    const all = media ? await media.enumerateDevices() : [];
    for (const [name, kind, word] of [
      ['microphone', 'audioinput', 'Microphone'],
      ['speaker', 'audiooutput', 'Speaker'],
    ]) {
      const devices = all.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== 'default');
      const named = devices.map(({ deviceId, label }, index) => [deviceId, label || `${word} ${index + 1}`]);
      form.setDevices(name, [['', 'The system’s own'], ...named]);
    }
  };
  media?.addEventListener('devicechange', look);
  look();
  return look;
}
