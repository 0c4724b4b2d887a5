// Applies the chosen theme before the first paint. A script of its own, because inline ones are refused.
const chosen = localStorage.getItem("theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
