package host

import "github.com/tidewaiter/tidewaiter/listen/stanza"

// Mark sets or clears marks of a session. It reports false if there is no such
// session. Marks are gone with the session.
func (l *Local) Mark(full stanza.JID, m stanza.Mark, on bool) bool {
	s := l.sessions.find(full)
	return s != nil && l.sessions.mark(s, m, on)
}

// Marked returns the full JIDs of the account's sessions with all of these
// marks, oldest first.
func (l *Local) Marked(user stanza.JID, m stanza.Mark) []stanza.JID {
	var found []stanza.JID
	for _, s := range l.sessions.of(user.Bare()) {
		if stanza.Mark(s.flags.Load())&m == m {
			found = append(found, s.jid)
		}
	}
	return found
}

// Available reports whether an account has an available resource.
func (l *Local) Available(user stanza.JID) bool {
	return anyAvailable(l.sessions.of(user.Bare()))
}
