/** The page's own folder, "/" or "/fleet/": where a proxy has put it, as the <base> of the page tells. */
export const HOME: string = typeof document === "undefined" ? "/" : new URL(document.baseURI).pathname;
