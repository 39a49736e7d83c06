package roster

import (
	"errors"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// push tells the interested resources of a user what has become of an item; one
// that is not listed any more was removed. The roster is locked.
// See RFC 6121, sections 2.1.6 and 2.6.3.
func (s *Service) push(user stanza.JID, i *Item) {
	sessions := s.router.Marked(user, stanza.WantsRoster)
	watched := s.watcher != nil && s.watcher.WantsPushes(user.Domain())
	if len(sessions) == 0 && !watched {
		return
	}
	inner := s.pushed(user, i)
	if watched {
		s.watcher.Push(user, inner)
	}
	for _, full := range sessions {
		s.pushTo(full, inner)
	}
}

// pushed returns the payload of a push.
func (s *Service) pushed(user stanza.JID, i *Item) string {
	b := make([]byte, 0, 256)
	b = s.appendQuery(b, s.versioning(user), i.Version)
	if i.Listed {
		b = i.appendXML(b)
	} else {
		b = appendRemoved(b, i.Contact)
	}
	return string(append(b, "</query>"...))
}

// pushTo sends a push to one session.
func (s *Service) pushTo(full stanza.JID, inner string) {
	err := s.router.DeliverTo(full, &stanza.Stanza{
		Kind: stanza.IQ, Type: stanza.TypeSet, ID: "push" + strconv.FormatUint(s.pushes.Add(1), 36),
		From: full.Bare(), To: full, Child: stanza.Name{Space: NS, Local: "query"}, Inner: inner,
	})
	if err == nil || errors.Is(err, stanza.ErrClosed) {
		return
	}
	// With the next one it would think that it knows this change too.
	s.router.Mark(full, stanza.WantsRoster, false)
	s.log.Warn("session misses changes of its roster", "user", full, "err", err)
}

// versioning reports whether clients are told the version of a roster.
func (s *Service) versioning(user stanza.JID) bool {
	o := s.optionsOf(user.Domain())
	return o != nil && o.Versioning
}

// appendQuery appends the start tag of a payload.
func (s *Service) appendQuery(dst []byte, versioned bool, version uint64) []byte {
	dst = append(dst, "<query xmlns='"+NS+"'"...)
	if versioned {
		dst = append(dst, " ver='"...)
		dst = append(dst, s.epoch...)
		dst = strconv.AppendUint(dst, version, 10)
		dst = append(dst, '\'')
	}
	return append(dst, '>')
}

// parseVersion reads the version of a roster that a client has. ok is false for
// one that was never given out.
func (s *Service) parseVersion(ver string) (version uint64, ok bool) {
	digits, ok := strings.CutPrefix(ver, s.epoch)
	if !ok {
		return 0, false
	}
	version, err := strconv.ParseUint(digits, 10, 64)
	return version, err == nil
}

// IsForgedPush reports whether a stanza pretends to be a roster push: a request
// to change a roster that is addressed to a resource and does not come from the
// resource's own account, which is the server's voice. Sessions have full
// addresses, so what they send never comes from an account.
// See RFC 6121, section 2.1.6.
func IsForgedPush(s *stanza.Stanza) bool {
	return s.Kind == stanza.IQ && s.Type == stanza.TypeSet && s.To.IsFull() &&
		s.Child == stanza.Name{Space: NS, Local: "query"} && s.From != s.To.Bare()
}
