"""From written text to the words to say, with the way back from every spoken character to the written ones."""
