package host

import "github.com/tidewaiter/tidewaiter/listen/stanza"

// Stats are numbers of the moment.
type Stats struct {
	Sessions  int
	Accounts  int // with sessions
	Available int // sessions that are available
	Detached  int // sessions without a connection
	Carbons   int // sessions that want message carbons
	Blocking  int // accounts with sessions that block somebody
	Directed  int // addresses that sessions have sent directed presence to
	Held      int // messages that wait for the store, or behind others that do
	CatchUps  int // sessions that get what they have missed
	Domains   int // registered, beside the served ones
}

// Stats counts. It takes time in proportion to the number of sessions.
func (l *Local) Stats() Stats {
	t := Stats{
		Accounts: l.sessions.accounts(),
		Blocking: int(l.sessions.blocking.Load()),
		Domains:  len(l.Domains()),
	}
	for _, s := range l.sessions.all(func(*session) bool { return true }) {
		t.Sessions++
		if s.available() {
			t.Available++
		}
		if s.is(detached) {
			t.Detached++
		}
		if s.is(stanza.WantsCarbons) {
			t.Carbons++
		}
		s.mu.Lock()
		t.Directed += len(s.directed)
		s.mu.Unlock()
		t.Held += s.lane.held()
		if s.catchesUp() {
			t.CatchUps++
		}
	}
	return t
}
