// Orders to a box: given once, and waited for until the box has answered.
import { manage } from "./manage-api";

const ASK_MS = 500;
const PATIENCE_MS = 60_000;

/** Wait for the box's answer to an order; returns its words, and throws its reason. */
export async function answered(node: string, id: string, patience = PATIENCE_MS): Promise<string> {
  const end = Date.now() + patience;
  for (;;) {
    const order = await manage.order(node, id);
    if (order.state === "done") return order.text;
    if (order.state !== "sent") throw new Error(order.reason);
    if (Date.now() > end) throw new Error("The box has not answered in time.");
    await new Promise((resolve) => window.setTimeout(resolve, ASK_MS));
  }
}
