import { showChat } from "./chat.ts";
import { showHealth } from "./health.ts";
import { showQuestions } from "./questions.ts";

showHealth(10_000);
showQuestions();
showChat();
