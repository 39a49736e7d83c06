package blocking

import "github.com/tidewaiter/tidewaiter/listen/stanza"

// compile returns what tells whether an account with this list blocks a peer,
// nil when it blocks nobody. No account is kept from its own resources (XEP-0191,
// section 5) and from its own server, whose address is the domain.
// See XEP-0191, section 6.
func compile(user stanza.JID, blocked []stanza.JID) func(peer stanza.JID) bool {
	if len(blocked) == 0 {
		return nil
	}
	set := make(map[stanza.JID]struct{}, len(blocked))
	for _, j := range blocked {
		set[j] = struct{}{}
	}
	server := user.DomainOnly()
	return func(peer stanza.JID) bool {
		bare := peer.Bare()
		if bare == user || peer == server {
			return false
		}
		for _, j := range [...]stanza.JID{peer, bare, peer.DomainOnly()} {
			if _, ok := set[j]; ok {
				return true
			}
		}
		return false
	}
}
