// uPlot in a component: it follows its box's width and the theme, and is told when its data change.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const probe = document.createElement("span");
probe.hidden = true;
document.documentElement.append(probe);

/** A colour of the style sheet as it is now, in a form that a canvas understands. */
export function colour(name: string): string {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

function onTheme(redraw: () => void): () => void {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const observer = new MutationObserver(redraw);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  scheme.addEventListener("change", redraw);
  return () => {
    observer.disconnect();
    scheme.removeEventListener("change", redraw);
  };
}

export const axis = (more: uPlot.Axis = {}): uPlot.Axis => ({
  stroke: () => colour("--faint"),
  grid: { stroke: () => colour("--rule"), width: 1 },
  ticks: { show: false },
  font: "11px system-ui, sans-serif",
  gap: 6,
  ...more,
});

interface PlotProps {
  /** Everything but the size; a new object makes a new chart. */
  options: Omit<uPlot.Options, "width" | "height">;
  data: uPlot.AlignedData;
  height: number;
  label: string;
}

export function Plot({ options, data, height, label }: PlotProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  useEffect(() => {
    const box = host.current!;
    const made = new uPlot({ ...options, width: box.clientWidth || 320, height }, data, box);
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: box.clientWidth || 320, height }));
    resized.observe(box);
    const untheme = onTheme(() => made.redraw(false, true));
    return () => {
      untheme();
      resized.disconnect();
      made.destroy();
    };
  }, [options, height]);
  useEffect(() => plot.current?.setData(data), [data]);
  return <div class="plot" ref={host} role="img" aria-label={label} style={{ height: `${height}px` }} />;
}
