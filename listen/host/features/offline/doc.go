// Package offline keeps messages for accounts that are not there (XEP-0160).
//
// A message stays in the store from Keep until a session has got it (Arrived),
// so that neither a session that breaks nor a process that is killed loses it.
// What is known beyond that is in memory: which session holds a copy that has
// not arrived yet. A session is known by its sink, because another one may come
// after it under the same address. A message is held
//
//   - by the session that Deliver sends it to, from the moment before it is
//     sent, unless send refuses it;
//   - by the sessions that the caller of Keep names, because it gives them the
//     copy itself, from the moment when it is in the store.
//
// Deliver passes over what anybody holds and what has arrived, so two sessions
// never get one message from it. It looks at a message only when the call of
// Keep that stored it is done: before, nobody can tell who holds it. Lost ends
// the hold of a session; then the next Deliver, of whichever session, hands the
// messages out again. It is for the caller to make that call when another
// session is available at the time.
//
// So a message that was confirmed is delivered at least once, and exactly once
// unless a session that held it was lost, or the process was, before the store
// had removed it.
package offline
