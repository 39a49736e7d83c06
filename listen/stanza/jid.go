package stanza

import (
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/jidprep"
)

// JID is an XMPP address in its canonical form (RFC 7622): the localpart and
// the domainpart are case-mapped and normalised, the resourcepart is prepared
// with the OpaqueString profile. The zero JID is no address.
//
// JIDs are comparable: two addresses are equal exactly if == says so, and a JID
// serves as a map key.
type JID struct {
	s      string // canonical text
	local  uint16 // length of the localpart, 0: none
	domain uint16 // offset of the end of the domainpart
}

// ErrBadJID is wrapped by every error that ParseJID and NewJID return.
var ErrBadJID = errors.New("not a JID")

// ParseJID prepares and checks an address of the form
// [localpart@]domainpart[/resourcepart].
// See RFC 7622, section 3.
func ParseJID(s string) (JID, error) {
	local, domain, resource, err := jidprep.Split(s)
	if err != nil {
		return JID{}, fmt.Errorf("%w: %q: %w", ErrBadJID, clip(s), err)
	}
	l, d, r, err := prepare(local, domain, resource)
	if err != nil {
		return JID{}, err
	}
	if l != local || d != domain || r != resource {
		return join(l, d, r), nil
	}
	j := JID{s: s, local: uint16(len(l)), domain: uint16(len(d))}
	if l != "" {
		j.domain += j.local + 1
	}
	return j, nil
}

// NewJID prepares and checks the three parts of an address; local and resource
// may be empty.
func NewJID(local, domain, resource string) (JID, error) {
	l, d, r, err := prepare(local, domain, resource)
	if err != nil {
		return JID{}, err
	}
	return join(l, d, r), nil
}

// prepare prepares and checks the three parts of an address.
func prepare(local, domain, resource string) (l, d, r string, err error) {
	if l, err = jidprep.Local(local); err != nil {
		return "", "", "", badPart("localpart", local, err)
	}
	if d, err = jidprep.Domain(domain); err != nil {
		return "", "", "", badPart("domainpart", domain, err)
	}
	if r, err = jidprep.Resource(resource); err != nil {
		return "", "", "", badPart("resourcepart", resource, err)
	}
	return l, d, r, nil
}

func badPart(part, s string, err error) error {
	return fmt.Errorf("%w: %s %q: %w", ErrBadJID, part, clip(s), err)
}

// join builds a JID of parts that are canonical already.
func join(local, domain, resource string) JID {
	s := domain
	if local != "" {
		s = local + "@" + domain
	}
	j := JID{local: uint16(len(local)), domain: uint16(len(s))}
	if resource != "" {
		s += "/" + resource
	}
	j.s = s
	return j
}

// String returns the canonical text of the address.
func (j JID) String() string { return j.s }

// IsZero reports whether j is no address.
func (j JID) IsZero() bool { return j.s == "" }

// Local returns the localpart, "" when there is none.
func (j JID) Local() string { return j.s[:j.local] }

// Domain returns the domainpart.
func (j JID) Domain() string {
	if j.local == 0 {
		return j.s[:j.domain]
	}
	return j.s[j.local+1 : j.domain]
}

// Resource returns the resourcepart, "" when there is none.
func (j JID) Resource() string {
	if int(j.domain) >= len(j.s) {
		return ""
	}
	return j.s[j.domain+1:]
}

// Bare returns the address without its resourcepart. It does not allocate.
func (j JID) Bare() JID { return JID{s: j.s[:j.domain], local: j.local, domain: j.domain} }

// DomainOnly returns the address of the domain alone. It does not allocate.
func (j JID) DomainOnly() JID {
	d := j.Domain()
	return JID{s: d, domain: uint16(len(d))}
}

// IsBare reports whether j has no resourcepart.
func (j JID) IsBare() bool { return int(j.domain) == len(j.s) }

// IsFull reports whether j has a resourcepart.
func (j JID) IsFull() bool { return int(j.domain) < len(j.s) }

// WithResource returns the address with the given resourcepart, which is
// prepared and checked.
func (j JID) WithResource(resource string) (JID, error) {
	r, err := jidprep.Resource(resource)
	if err != nil {
		return JID{}, badPart("resourcepart", resource, err)
	}
	b := j.Bare()
	if r == "" {
		return b, nil
	}
	b.s += "/" + r
	return b, nil
}

// MarshalText returns the canonical text.
func (j JID) MarshalText() ([]byte, error) { return []byte(j.s), nil }

// UnmarshalText parses an address as ParseJID does; an empty text gives the
// zero JID.
func (j *JID) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*j = JID{}
		return nil
	}
	*j, err = ParseJID(string(b))
	return err
}

// clip keeps what a peer sent from filling an error text.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
