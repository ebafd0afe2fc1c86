import { complete, type Message } from "./completions.ts";
import { byId, element, onSubmit, reasonOf } from "./dom.ts";

/** So many messages go along, so that a small context is not overrun. */
const remembered = 6;

/** The chat box. */
export function showChat(): void {
  const log = byId("chat-log", HTMLDivElement);
  const state = byId("chat-state", HTMLParagraphElement);
  const field = byId("message", HTMLTextAreaElement);
  const stop = byId("chat-stop", HTMLButtonElement);
  let messages: readonly Message[] = [];
  let running: AbortController | undefined;

  function say(role: Message["role"], text: string): HTMLElement {
    const said = log.appendChild(element("p", role, text));
    log.scrollTop = log.scrollHeight;
    return said;
  }

  async function receive(shown: HTMLElement, controller: AbortController): Promise<void> {
    for await (const piece of complete(messages.slice(-remembered), controller.signal)) {
      shown.textContent += piece;
      log.scrollTop = log.scrollHeight;
    }
  }

  onSubmit(byId("chat", HTMLFormElement), field, async (text) => {
    if (running !== undefined) return;
    const controller = (running = new AbortController());
    messages = [...messages, { role: "user", content: text }];
    say("user", text);
    const reply = say("assistant", "");
    field.value = "";
    stop.disabled = false;
    state.textContent = "The model is writing …";
    // Announced when it is whole, not word by word.
    log.setAttribute("aria-busy", "true");
    try {
      await receive(reply, controller);
      state.textContent = "";
    } catch (error) {
      state.textContent = controller.signal.aborted ? "Stopped." : reasonOf(error);
    }
    messages = [...messages, { role: "assistant", content: reply.textContent }];
    log.removeAttribute("aria-busy");
    stop.disabled = true;
    running = undefined;
  });
  stop.addEventListener("click", () => running?.abort());
}
