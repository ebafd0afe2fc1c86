/** The element with this id; the page is wrong without it. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html: expected a ${type.name} with id "${id}"`);
}

/** A new element with text in it, never HTML. */
export function element(tag: string, className: string, text: string): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

export function reasonOf(error: unknown): string {
  return error instanceof TypeError
    ? "The server cannot be reached."
    : error instanceof Error
      ? error.message
      : String(error);
}

/** Runs `send` with the trimmed text on submit; Enter submits, Shift+Enter is a new line. */
export function onSubmit(
  form: HTMLFormElement,
  field: HTMLTextAreaElement,
  send: (text: string) => Promise<void>,
): void {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (text !== "") void send(text);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
}
