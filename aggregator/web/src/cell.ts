// A value that components can watch. Setting it redraws who reads it, nothing else.
import { useEffect, useState } from "preact/hooks";

export class Cell<T> {
  private readers = new Set<() => void>();

  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }

  set(next: T): void {
    if (Object.is(next, this.current)) return;
    this.current = next;
    for (const reader of [...this.readers]) reader();
  }

  subscribe(reader: () => void): () => void {
    this.readers.add(reader);
    return () => this.readers.delete(reader);
  }
}

export function useCell<T>(cell: Cell<T>): T {
  const [, redraw] = useState({});
  const drawn = cell.value;
  useEffect(() => {
    const stop = cell.subscribe(() => redraw({}));
    if (!Object.is(drawn, cell.value)) redraw({}); // it changed after it was drawn and before this listened
    return stop;
  }, [cell]);
  return drawn;
}
