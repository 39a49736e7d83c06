package stanza

import "errors"

// What a Sink answers when it cannot take a stanza.
var (
	// ErrQueueFull says that the queue of the recipient has reached its bound.
	ErrQueueFull = errors.New("queue of the recipient is full")
	// ErrClosed says that the recipient's session has ended.
	ErrClosed = errors.New("session has ended")
)

// What a host answers about accounts. None of them reaches a peer as it is.
var (
	// ErrNoAccount says that there is no such account.
	ErrNoAccount = errors.New("no such account")
	// ErrNotAuthorized says that the credentials are wrong.
	ErrNotAuthorized = errors.New("credentials do not match")
	// ErrAccountDisabled says that the account may not log in now.
	ErrAccountDisabled = errors.New("account is disabled")
	// ErrNotSupported says that the account has no credentials of the kind that
	// was asked for.
	ErrNotSupported = errors.New("account has no credentials of this kind")
)

// NSStanzas is the namespace of the stanza error conditions.
const NSStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"

// NSStreams is the namespace of the stream error conditions.
const NSStreams = "urn:ietf:params:xml:ns:xmpp-streams"

// ErrorType tells the sender of a stanza what to do about an error.
// See RFC 6120, section 8.3.2.
type ErrorType string

const (
	Auth     ErrorType = "auth"
	Cancel   ErrorType = "cancel"
	Continue ErrorType = "continue"
	Modify   ErrorType = "modify"
	Wait     ErrorType = "wait"
)

// Condition is a defined condition of a stanza error.
// See RFC 6120, section 8.3.3.
type Condition string

const (
	BadRequest            Condition = "bad-request"
	Conflict              Condition = "conflict"
	FeatureNotImplemented Condition = "feature-not-implemented"
	Forbidden             Condition = "forbidden"
	Gone                  Condition = "gone"
	InternalServerError   Condition = "internal-server-error"
	ItemNotFound          Condition = "item-not-found"
	JIDMalformed          Condition = "jid-malformed"
	NotAcceptable         Condition = "not-acceptable"
	NotAllowed            Condition = "not-allowed"
	NotAuthorized         Condition = "not-authorized"
	PolicyViolation       Condition = "policy-violation"
	RecipientUnavailable  Condition = "recipient-unavailable"
	Redirect              Condition = "redirect"
	RegistrationRequired  Condition = "registration-required"
	RemoteServerNotFound  Condition = "remote-server-not-found"
	RemoteServerTimeout   Condition = "remote-server-timeout"
	ResourceConstraint    Condition = "resource-constraint"
	ServiceUnavailable    Condition = "service-unavailable"
	SubscriptionRequired  Condition = "subscription-required"
	UndefinedCondition    Condition = "undefined-condition"
	UnexpectedRequest     Condition = "unexpected-request"
)

// Error is a stanza error.
type Error struct {
	Type      ErrorType // "": the usual one of the condition
	Condition Condition
	Text      string // for people, "" when absent
	App       string // XML of an application-specific condition, "" when absent
}

// Error returns the condition and the text.
func (e *Error) Error() string {
	if e.Text == "" {
		return string(e.Condition)
	}
	return string(e.Condition) + ": " + e.Text
}

// Is reports whether target is a stanza error of the same condition.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Condition == e.Condition
}

// AppendXML appends the <error/> element.
func (e *Error) AppendXML(dst []byte) []byte {
	t := e.Type
	if t == "" {
		t = e.Condition.usualType()
	}
	dst = append(dst, "<error type='"...)
	dst = append(dst, t...)
	dst = append(dst, "'><"...)
	dst = append(dst, e.Condition...)
	dst = append(dst, " xmlns='"+NSStanzas+"'/>"...)
	if e.Text != "" {
		dst = append(dst, "<text xmlns='"+NSStanzas+"'>"...)
		dst = AppendEscaped(dst, e.Text)
		dst = append(dst, "</text>"...)
	}
	dst = append(dst, e.App...)
	return append(dst, "</error>"...)
}

func (c Condition) usualType() ErrorType {
	switch c {
	case BadRequest, JIDMalformed, NotAcceptable, PolicyViolation, Redirect:
		return Modify
	case Forbidden, NotAuthorized, RegistrationRequired, SubscriptionRequired:
		return Auth
	case RecipientUnavailable, RemoteServerTimeout, ResourceConstraint, UnexpectedRequest:
		return Wait
	}
	return Cancel
}

// StreamCondition is a defined condition of a stream error.
// See RFC 6120, section 4.9.3.
type StreamCondition string

const (
	StreamBadFormat              StreamCondition = "bad-format"
	StreamBadNamespacePrefix     StreamCondition = "bad-namespace-prefix"
	StreamConflict               StreamCondition = "conflict"
	StreamConnectionTimeout      StreamCondition = "connection-timeout"
	StreamHostGone               StreamCondition = "host-gone"
	StreamHostUnknown            StreamCondition = "host-unknown"
	StreamImproperAddressing     StreamCondition = "improper-addressing"
	StreamInternalServerError    StreamCondition = "internal-server-error"
	StreamInvalidFrom            StreamCondition = "invalid-from"
	StreamInvalidNamespace       StreamCondition = "invalid-namespace"
	StreamInvalidXML             StreamCondition = "invalid-xml"
	StreamNotAuthorized          StreamCondition = "not-authorized"
	StreamNotWellFormed          StreamCondition = "not-well-formed"
	StreamPolicyViolation        StreamCondition = "policy-violation"
	StreamRemoteConnectionFailed StreamCondition = "remote-connection-failed"
	StreamReset                  StreamCondition = "reset"
	StreamResourceConstraint     StreamCondition = "resource-constraint"
	StreamRestrictedXML          StreamCondition = "restricted-xml"
	StreamSeeOtherHost           StreamCondition = "see-other-host"
	StreamSystemShutdown         StreamCondition = "system-shutdown"
	StreamUndefinedCondition     StreamCondition = "undefined-condition"
	StreamUnsupportedEncoding    StreamCondition = "unsupported-encoding"
	StreamUnsupportedFeature     StreamCondition = "unsupported-feature"
	StreamUnsupportedStanzaType  StreamCondition = "unsupported-stanza-type"
	StreamUnsupportedVersion     StreamCondition = "unsupported-version"
)

// StreamError ends a stream. It is what the peer is told; Err says more and
// stays on this side.
type StreamError struct {
	Condition StreamCondition
	Text      string // for the peer's people, "" when absent
	App       string // XML of an application-specific condition, "" when absent
	Err       error  // for our log, nil when there is no more to say
}

// Error returns the condition, the text and the wrapped error.
func (e *StreamError) Error() string {
	s := string(e.Condition)
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *StreamError) Unwrap() error { return e.Err }

// Is reports whether target is a stream error of the same condition.
func (e *StreamError) Is(target error) bool {
	t, ok := target.(*StreamError)
	return ok && t.Condition == e.Condition
}

// AppendXML appends the children of <stream:error/>: the element itself
// belongs to the transport, whose framings name it differently.
func (e *StreamError) AppendXML(dst []byte) []byte {
	dst = append(dst, '<')
	dst = append(dst, e.Condition...)
	dst = append(dst, " xmlns='"+NSStreams+"'/>"...)
	if e.Text != "" {
		dst = append(dst, "<text xmlns='"+NSStreams+"' xml:lang='en'>"...)
		dst = AppendEscaped(dst, e.Text)
		dst = append(dst, "</text>"...)
	}
	return append(dst, e.App...)
}
