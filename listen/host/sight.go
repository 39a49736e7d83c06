package host

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// sight is what people see of a session: its last presence.
type sight struct {
	session  *session
	priority int    // -1 when it is not available
	show     string // available, chat, away, xa, dnd or unavailable
	status   string
}

// see looks at a session.
func see(s *session) sight {
	a := s.state.Load()
	if !a.available() {
		v := sight{session: s, priority: -1, show: stanza.TypeUnavailable}
		if a != nil {
			_, v.status = a.texts()
		}
		return v
	}
	show, status := a.texts()
	if show == "" {
		show = "available"
	}
	return sight{session: s, priority: a.priority, show: show, status: status}
}

// texts returns what presence shows (RFC 6121, section 4.7.2.1), "" for nothing but
// being there, and its status text (section 4.7.2.2).
func (a *availability) texts() (show, status string) {
	p := a.presence
	if !strings.Contains(p.Inner, "show") && !strings.Contains(p.Inner, "status") {
		return "", ""
	}
	e, err := stanza.ParseElement(string(p.AppendTo(nil, stanza.NSClient)))
	if err != nil {
		return "", ""
	}
	if c := e.Child(stanza.NSClient, "show"); c != nil && isShow(c.Text) {
		show = c.Text
	}
	if c := e.Child(stanza.NSClient, "status"); c != nil {
		status = c.Text
	}
	return show, status
}

// isShow reports whether presence may show that.
func isShow(s string) bool { return slices.Contains([]string{"away", "chat", "dnd", "xa"}, s) }

// inOrder returns the sessions sorted by address.
func inOrder(list []*session) []*session {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b *session) int { return cmp.Compare(a.jid.String(), b.jid.String()) })
	return sorted
}

// of returns the sessions of a domain, "" for all, sorted.
func (l *Local) of(domain string) []*session {
	return inOrder(l.sessions.all(func(s *session) bool { return domain == "" || s.jid.Domain() == domain }))
}

// count returns how many sessions a domain has, "" for all.
func (l *Local) count(domain string) (n int) {
	if domain == "" {
		return int(l.sessions.size.Load())
	}
	l.sessions.all(func(s *session) bool {
		if s.jid.Domain() == domain {
			n++
		}
		return false
	})
	return n
}
