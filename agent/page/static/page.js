// The box's own page: asks for all figures every two seconds, shows them as text, draws lines.
"use strict";

const byId = (id) => document.getElementById(id);
const views = new Map(); // camera -> its part of the page

async function call(method, path, body) {
  const head = { method, headers: { "X-GB-Page": "1" }, body: body && JSON.stringify(body) };
  const response = await fetch(path, head);
  const answer = response.headers.get("Content-Type").includes("json") ? await response.json() : null;
  if (!response.ok) throw Object.assign(new Error(answer.error.message), { status: response.status });
  return answer;
}

function row(cells) {
  const line = document.createElement("tr");
  for (const cell of cells) line.insertCell().textContent = cell;
  return line;
}

const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function cameraView(camera) {
  const view = byId("camera").content.firstElementChild.cloneNode(true);
  const part = (name) => view.querySelector("." + name);
  part("name").textContent = camera.camera;
  const place = "api/cameras/" + encodeURIComponent(camera.camera);
  const said = (text) => { part("said").textContent = text; };
  if (camera.pictures) part("picture").src = place + "/preview";
  else part("picture").alt = "no picture of this camera leaves the box";
  part("empty").hidden = !camera.pictures;
  part("draw").onclick = () => draw(view, async (points) => {
    const name = part("line-name").value.trim();
    try { said((await call("PUT", place + "/lines/" + encodeURIComponent(name), { points })).said); }
    catch (error) { said(error.message); }
  }, said);
  part("remove").onclick = async () => {
    const name = part("line-name").value.trim();
    try { said((await call("DELETE", place + "/lines/" + encodeURIComponent(name))).said); }
    catch (error) { said(error.message); }
  };
  let isEmpty = false;
  part("empty").onclick = async () => {
    const response = await fetch(place + "/empty");
    if (!response.ok) { said((await response.json()).error.message); return; }
    isEmpty = !isEmpty;
    part("picture").src = isEmpty ? URL.createObjectURL(await response.blob()) : place + "/preview";
    part("empty").textContent = isEmpty ? "Show it live" : "Show it without people";
  };
  byId("cameras").append(view);
  return view;
}

// Two points, a press each; the third press begins anew.
function draw(view, done, said) {
  const field = view.querySelector(".drawing");
  const points = [];
  view.querySelector(".view").classList.add("drawing-now");
  said("press where the line begins, then where it ends");
  field.onpointerdown = (event) => {
    const box = field.getBoundingClientRect();
    points.push([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
      .map((part) => Math.min(Math.max(Math.round(part * 10000) / 10000, 0), 1)));
    if (points.length < 2) return;
    field.onpointerdown = null;
    view.querySelector(".view").classList.remove("drawing-now");
    done(points);
  };
}

function showCamera(camera) {
  if (!views.has(camera.camera)) views.set(camera.camera, cameraView(camera));
  const view = views.get(camera.camera);
  const state = view.querySelector(".state");
  state.textContent = camera.state + (camera.reason ? ": " + camera.reason : "") + `, ${camera.fps.toFixed(1)} frames/s`;
  state.classList.toggle("ok", camera.state === "ok");
  view.querySelector(".health").replaceChildren(...(camera.health ?? []).map((one) => {
    const item = document.createElement("li");
    item.textContent = `Since ${clock(one.since)}: ${one.text}`;
    return item;
  }));
  if (camera.size[0]) view.querySelector(".view").style.aspectRatio = camera.size[0] + " / " + camera.size[1];
  view.querySelector("caption").textContent = "counted since " + clock(camera.since);
  view.querySelector(".counts").replaceChildren(...camera.counts.map(row));
  const lines = Object.entries(camera.lines).map(([, points]) => {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    line.setAttribute("points", points.map(([x, y]) => `${x * 1000},${y * 1000}`).join(" "));
    return line;
  });
  view.querySelector(".drawing").replaceChildren(...lines);
}

function power(told) {
  const each = told.joules_per_count === null ? "" : `, ${told.joules_per_count} J a count since the start`;
  return `The ${told.of} takes ${told.watts.toFixed(1)} W${each}`;
}

function show(box) {
  byId("node").textContent = box.node;
  document.title = box.node;
  byId("centre").textContent = box.centre + (box.waiting ? `; ${box.waiting} event(s) wait` : "");
  byId("power").textContent = box.power ? power(box.power) : "";
  box.cameras.forEach(showCamera);
  byId("departures").replaceChildren(...box.departures.map((one) =>
    row([new Date(one.start).toLocaleString(), one.camera, one.way, one.who || one.role, one.pictures, one.manner])));
}

async function refresh() {
  try {
    show(await call("GET", "api/box"));
    byId("login").hidden = true;
    byId("box").hidden = false;
    byId("trouble").hidden = true;
  } catch (error) {
    if (error.status === 401) { byId("login").hidden = false; byId("box").hidden = true; return; }
    byId("trouble").textContent = "This box does not answer: " + error.message;
    byId("trouble").hidden = false;
  }
  setTimeout(refresh, 2000);
}

async function login(token) {
  try { await call("POST", "api/login", { token }); byId("login-error").textContent = ""; }
  catch (error) { byId("login-error").textContent = error.message; }
  refresh();
}

byId("login").onsubmit = (event) => { event.preventDefault(); login(byId("token").value.trim()); };
const given = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);
if (given) login(given); else refresh();
