interface Dataset {
  readonly id: number;
  readonly name: string;
}

const state = document.querySelector("#state")!;
const list = document.querySelector("#datasets")!;

async function show(): Promise<void> {
  const response = await fetch("/api/v1/datasets");
  if (!response.ok) throw new Error(`the API answered ${response.status}`);
  const datasets = (await response.json()) as readonly Dataset[];
  state.textContent = datasets.length === 0 ? "There is no dataset yet." : `${datasets.length} datasets`;
  list.replaceChildren(
    ...datasets.map(({ name }) => Object.assign(document.createElement("li"), { textContent: name })),
  );
}

show().catch((error: unknown) => {
  state.textContent = String(error);
});
