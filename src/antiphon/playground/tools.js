// Functions that the model may call, and the answers that stand in for them. No DOM.

export const EXAMPLE = [
  {
    type: 'function',
    name: 'get_weather',
    description: 'Look up the weather in a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
];

export const EXAMPLE_ANSWER = '{"weather": "sunny", "celsius": 21}';

/** Return the tools of a JSON text, or what is wrong with it in words: `{ tools, problem }`. */
export function parseTools(text) {
  if (!text.trim()) return { tools: [], problem: null };
  let tools;
  try {
    tools = JSON.parse(text);
  } catch (error) {
    return { tools: [], problem: `This is not JSON yet: ${error.message}` };
  }
  if (!Array.isArray(tools)) return { tools: [], problem: 'Tools are a list: put [ and ] around them.' };
  const nameless = tools.findIndex((tool) => typeof tool?.name !== 'string' || !/^[\w-]{1,64}$/.test(tool.name));
  if (nameless >= 0) return { tools: [], problem: `Tool ${nameless + 1} needs a "name" of letters, digits, _ and -.` };
  return { tools: tools.map((tool) => ({ ...tool, type: 'function' })), problem: null };
}

/** Return the events that answer the function calls of a finished response; none when it made no calls. */
export function answersTo(response, answers) {
  const calls = response.status === 'completed' ? response.output.filter((item) => item.type === 'function_call') : [];
  if (!calls.length) return [];
  const outputs = calls.map(({ call_id, name }) => ({
    type: 'conversation.item.create',
    item: { type: 'function_call_output', call_id, output: answers[name] ?? '{}' },
  }));
  // With tool_choice "required" the session would have it call again and again.
  return [...outputs, { type: 'response.create', response: { tool_choice: 'auto' } }];
}
