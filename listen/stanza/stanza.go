package stanza

import "strings"

// The namespaces of the streams that carry stanzas.
const (
	NSClient    = "jabber:client"
	NSServer    = "jabber:server"
	NSComponent = "jabber:component:accept"
	NSStream    = "http://etherx.jabber.org/streams"
)

// Kind tells the three stanzas apart.
type Kind uint8

const (
	Message Kind = iota + 1
	Presence
	IQ
)

// String returns the element's name: message, presence or iq.
func (k Kind) String() string {
	switch k {
	case Message:
		return "message"
	case Presence:
		return "presence"
	case IQ:
		return "iq"
	}
	return "unknown"
}

// Values of the type attribute.
// See RFC 6121, sections 4.7.1 and 5.2.2, and RFC 6120, section 8.2.3.
const (
	TypeGet          = "get"
	TypeSet          = "set"
	TypeResult       = "result"
	TypeError        = "error"
	TypeNormal       = "normal"
	TypeChat         = "chat"
	TypeGroupchat    = "groupchat"
	TypeHeadline     = "headline"
	TypeUnavailable  = "unavailable"
	TypeProbe        = "probe"
	TypeSubscribe    = "subscribe"
	TypeSubscribed   = "subscribed"
	TypeUnsubscribe  = "unsubscribe"
	TypeUnsubscribed = "unsubscribed"
)

// Name is an expanded XML name.
type Name struct{ Space, Local string }

// Stanza is one message, presence or iq. It is immutable once it has been
// handed to anybody: sessions, queues and stores share it without copying.
type Stanza struct {
	Kind Kind

	// Delayed says that the delay (XEP-0203) in Inner from the domain of To is
	// the work of the server and not of the sender: see WithDelay.
	Delayed bool

	Type string // the type attribute, "" when absent
	ID   string // the id attribute, unescaped
	Lang string // the xml:lang attribute, unescaped
	From JID    // zero when absent
	To   JID    // zero when absent

	// Child is the name of the first child element, zero when there is none and
	// in what Result has made. Its Space is NSClient for a payload without a
	// namespace of its own, whichever stream the stanza came by.
	Child Name

	// Attrs are the other attributes of the start tag and the namespace
	// declarations that the payload needs, as XML with a space before each:
	// ` xmlns:x='urn:x' x:a='1'`.
	Attrs string

	// Kept is not 0 in the copy of a message that the recipient's offline store
	// holds: the store's key for it, unique within the account. The store sends
	// it again until it hears that it has arrived, so whoever cannot deliver
	// such a copy drops it: it is not answered, forwarded or stored again.
	Kept uint64

	// Inner is what stands between the start and the end tag: well-formed,
	// namespace-well-formed together with Attrs, and within the restrictions of
	// RFC 6120, section 11.1. Readers hand out only stanzas for which this
	// holds; code that builds one uses Append functions or Element.
	Inner string
}

// WithFrom returns a copy from another sender; the payload is shared.
func (s *Stanza) WithFrom(j JID) *Stanza { c := *s; c.From = j; return &c }

// WithTo returns a copy for another recipient; the payload is shared.
func (s *Stanza) WithTo(j JID) *Stanza { c := *s; c.To = j; return &c }

// IsRequest reports whether s is an IQ that must be answered (get or set).
func (s *Stanza) IsRequest() bool {
	return s.Kind == IQ && (s.Type == TypeGet || s.Type == TypeSet)
}

// Result returns the answer of type result to an IQ request, with inner (XML,
// may be empty) as its payload.
func (s *Stanza) Result(inner string) *Stanza {
	return &Stanza{Kind: IQ, Type: TypeResult, ID: s.ownID(), From: s.To, To: s.From, Inner: inner}
}

// ErrorReply returns the stanza of type error that answers s. Check MayBounce
// first: an error is never answered.
// See RFC 6120, section 8.3.1.
func (s *Stanza) ErrorReply(e *Error) *Stanza {
	return &Stanza{
		Kind: s.Kind, Type: TypeError, ID: s.ownID(), From: s.To, To: s.From,
		Child: Name{NSClient, "error"}, Inner: string(e.AppendXML(nil)),
	}
}

// ownID returns the id for an answer. That of s shares its memory with the
// payload: an answer that waits in a queue would keep all of it, uncounted.
func (s *Stanza) ownID() string { return strings.Clone(s.ID) }

// MayBounce reports whether an undeliverable s is answered with an error: no
// errors, no IQ results, no presence.
func (s *Stanza) MayBounce() bool {
	switch s.Kind {
	case IQ:
		return s.IsRequest()
	case Message:
		return s.Type != TypeError
	default:
		return false
	}
}

// Size is about the number of bytes that s takes on the wire.
func (s *Stanza) Size() int {
	return len(s.Inner) + len(s.Attrs) + len(s.ID) + len(s.Lang) + len(s.From.s) + len(s.To.s) + len(s.Type) + 48
}

// AppendTo appends s as XML to dst and returns the extended buffer. xmlns is
// written as the namespace of the stanza; "" leaves it out, for a stream that
// has declared its default namespace.
func (s *Stanza) AppendTo(dst []byte, xmlns string) []byte {
	name := s.Kind.String()
	dst = append(dst, '<')
	dst = append(dst, name...)
	if xmlns != "" {
		dst = appendAttr(dst, " xmlns='", xmlns)
	}
	if !s.From.IsZero() {
		dst = appendAttr(dst, " from='", s.From.s)
	}
	if !s.To.IsZero() {
		dst = appendAttr(dst, " to='", s.To.s)
	}
	if s.Type != "" {
		dst = appendAttr(dst, " type='", s.Type)
	}
	if s.ID != "" {
		dst = appendAttr(dst, " id='", s.ID)
	}
	if s.Lang != "" {
		dst = appendAttr(dst, " xml:lang='", s.Lang)
	}
	dst = append(dst, s.Attrs...)
	if s.Inner == "" {
		return append(dst, '/', '>')
	}
	dst = append(dst, '>')
	dst = append(dst, s.Inner...)
	dst = append(dst, '<', '/')
	dst = append(dst, name...)
	return append(dst, '>')
}

// String returns s as XML, for logs and tests.
func (s *Stanza) String() string { return string(s.AppendTo(nil, "")) }

func appendAttr(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = AppendEscaped(dst, value)
	return append(dst, '\'')
}
