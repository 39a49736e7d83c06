// A tab that talks with another through a TURN relay.

const show = id => document.getElementById(id)
const transport = new URLSearchParams(location.search).get("transport") === "tcp" ? "tcp" : "udp"
document.querySelector(`[data-transport=${transport}]`).setAttribute("aria-current", "true")

let me // the id that the server gave this tab
let connection // RTCPeerConnection, while there is another tab
let channel // RTCDataChannel of it

function state(text, kind = "") {
  show("state").textContent = text
  show("state").className = `state ${kind}`
}

// What the server and the other tab say is dealt with in the order in which it came.
let work = Promise.resolve()
const inOrder = f => (work = work.then(f).catch(e => state(e.message, "bad")))

function listen() {
  const events = new EventSource("events")
  const on = (name, f) => events.addEventListener(name, e => inOrder(() => f(JSON.parse(e.data))))
  on("here", id => { me = id; state("waiting: open this page in a second tab") })
  on("peer", ({ caller }) => connect(caller))
  on("signal", heard)
  on("left", () => { hangUp(); state("the other tab has left: open this page in a second tab") })
  events.onerror = () => {
    if (events.readyState !== EventSource.CLOSED) return // it tries again by itself
    state("there are two tabs already: close one of them", "bad")
    setTimeout(listen, 2000)
  }
}

async function signal(message) {
  const r = await fetch(`signal?tab=${me}`, { method: "POST", body: JSON.stringify(message) })
  if (!r.ok) throw new Error(await r.text())
}

// connect prepares the connection. The caller makes the first move.
async function connect(caller) {
  hangUp()
  state("connecting through the relay")
  const relay = await (await fetch(`relay?transport=${transport}`)).json()
  const c = connection = new RTCPeerConnection({ iceServers: [relay], iceTransportPolicy: "relay" })
  c.onicecandidate = ({ candidate }) => { if (candidate) inOrder(() => signal({ candidate, transport })) }
  c.onconnectionstatechange = () => { if (c.connectionState === "failed") state("no way through the relay", "bad") }
  channel = c.createDataChannel("text", { negotiated: true, id: 0 })
  channel.onopen = () => { state("connected", "good"); talking(true); path() }
  channel.onmessage = ({ data }) => say("there", data)
  if (!caller) return
  await c.setLocalDescription()
  await signal({ description: c.localDescription })
}

// heard takes what the other tab says on the way to a connection.
async function heard({ description, candidate, transport }) {
  if (candidate) {
    show("far").textContent = transport.toUpperCase()
    return connection.addIceCandidate(candidate)
  }
  await connection.setRemoteDescription(description)
  if (description.type !== "offer") return
  await connection.setLocalDescription()
  await signal({ description: connection.localDescription })
}

function hangUp() {
  connection?.close()
  connection = channel = undefined
  talking(false)
  for (const id of ["transport", "local", "local-type", "remote", "remote-type", "far"]) show(id).textContent = "–"
  show("figures").textContent = ""
}

function talking(on) {
  show("text").disabled = show("send").disabled = !on
  document.body.classList.toggle("talking", on)
  if (on) show("text").focus()
}

// path shows which way the data goes, as the browser tells it.
async function path() {
  if (!connection) return
  const stats = await connection.getStats()
  for (const t of stats.values()) {
    const pair = t.type === "transport" && stats.get(t.selectedCandidatePairId)
    if (!pair) continue
    const local = stats.get(pair.localCandidateId), remote = stats.get(pair.remoteCandidateId)
    show("transport").textContent = (local.relayProtocol ?? "?").toUpperCase()
    show("local-type").textContent = `candidate: ${local.candidateType}`
    show("remote-type").textContent = `candidate: ${remote.candidateType}`
    show("local").textContent = `${local.address}:${local.port}`
    show("remote").textContent = `${remote.address}:${remote.port}`
    const rtt = pair.currentRoundTripTime
    show("figures").textContent = `${pair.bytesSent} bytes out, ${pair.bytesReceived} in` +
      (rtt === undefined ? "" : `, round trip ${(rtt * 1000).toFixed(1)} ms`)
  }
}
setInterval(path, 1000)

function say(who, text) {
  const line = document.createElement("li")
  line.className = who
  line.textContent = text
  show("log").append(line)
  line.scrollIntoView({ block: "end" })
}

show("form").addEventListener("submit", e => {
  e.preventDefault()
  const text = show("text").value.trim()
  if (!text || channel?.readyState !== "open") return
  channel.send(text)
  say("here", text)
  show("text").value = ""
})

listen()
