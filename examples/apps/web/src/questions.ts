import { askQuestion, latestQuestions, type Question } from "./api.ts";
import { byId, element, onSubmit, reasonOf } from "./dom.ts";

const pauseMs = { whileOpen: 400, otherwise: 5000 } as const;

const words: Readonly<Record<Question["status"], string>> = {
  queued: "queued",
  answering: "answering …",
  answered: "answered",
  failed: "failed",
};

/** The form that asks, and the list that follows the answers. */
export function showQuestions(): void {
  const form = byId("ask", HTMLFormElement);
  const field = byId("question", HTMLTextAreaElement);
  const state = byId("ask-state", HTMLParagraphElement);
  const list = byId("questions", HTMLOListElement);
  const announce = announcer(state);
  let timer = 0;
  let failure = "";

  async function refresh(): Promise<void> {
    clearTimeout(timer);
    let pause: number = pauseMs.otherwise;
    try {
      const questions = await latestQuestions(20);
      render(list, questions);
      // Reached again: what was said about that no longer holds.
      if (failure !== "" && state.textContent === failure) state.textContent = "";
      failure = "";
      announce(questions);
      if (questions.some(isOpen)) pause = pauseMs.whileOpen;
    } catch (error) {
      failure = reasonOf(error);
      state.textContent = failure;
    }
    clearTimeout(timer);
    timer = setTimeout(() => void refresh(), pause);
  }

  onSubmit(form, field, async (text) => {
    try {
      const id = await askQuestion(text);
      state.textContent = `Question ${id}: queued.`;
      field.value = "";
    } catch (error) {
      state.textContent = reasonOf(error);
    }
    await refresh();
  });
  void refresh();
}

function isOpen(question: Question): boolean {
  return question.status === "queued" || question.status === "answering";
}

/** Says once when a question that was open is done. */
function announcer(state: HTMLElement): (questions: readonly Question[]) => void {
  let open = new Set<number>();
  return (questions) => {
    for (const { id, status } of questions.filter((one) => open.has(one.id) && !isOpen(one))) {
      state.textContent = `Question ${id}: ${words[status]}.`;
    }
    open = new Set(questions.filter(isOpen).map(({ id }) => id));
  };
}

/** Replaces only what changed: focus and selection stay where they are. */
function render(list: HTMLElement, questions: readonly Question[]): void {
  const shown = new Map([...list.children].map((item) => [(item as HTMLElement).dataset["content"], item]));
  const wanted = questions.map((question) => shown.get(JSON.stringify(question)) ?? itemFor(question));
  if (wanted.length === 0) wanted.push(element("li", "hint", "None yet."));
  if (wanted.some((item, index) => item !== list.children[index]) || wanted.length !== list.children.length) {
    list.replaceChildren(...wanted);
  }
}

function itemFor(question: Question): HTMLElement {
  const item = element("li", "question", "");
  item.dataset["content"] = JSON.stringify(question);
  const status = element("p", "status", `${question.id} · ${words[question.status]}${figures(question)}`);
  status.dataset["state"] = question.status;
  item.append(element("p", "text", question.text), status);
  if (question.answer !== null) item.append(element("p", "answer", question.answer));
  return item;
}

function figures({ prompt_tokens, completion_tokens, seconds }: Question): string {
  if (prompt_tokens === null || completion_tokens === null || seconds === null) return "";
  return ` · ${prompt_tokens} tokens in, ${completion_tokens} out · ${seconds.toFixed(1)} s`;
}
