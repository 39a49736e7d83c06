package xmlstream

import "fmt"

// Kind says which rule a peer broke.
type Kind uint8

const (
	// NotWellFormed: against XML 1.0 or Namespaces in XML.
	NotWellFormed Kind = iota + 1
	// RestrictedXML: XML that XMPP forbids (RFC 6120, section 11.1).
	RestrictedXML
	// UnsupportedEncoding: not UTF-8 (RFC 6120, section 11.6).
	UnsupportedEncoding
	// BadFormat: text between the children of the stream.
	BadFormat
	// TooLarge: more than Limits.Bytes.
	TooLarge
	// TooManyElements: more than Limits.Elements.
	TooManyElements
	// TooDeep: deeper than Limits.Depth.
	TooDeep
	// TooManyAttrs: more than Limits.Attrs on one element.
	TooManyAttrs
	// TooManyPrefixes: too many namespace declarations in scope.
	TooManyPrefixes
)

// Condition returns the name of the stream error that reports k.
// See RFC 6120, section 4.9.3.
func (k Kind) Condition() string {
	switch k {
	case NotWellFormed:
		return "not-well-formed"
	case RestrictedXML:
		return "restricted-xml"
	case UnsupportedEncoding:
		return "unsupported-encoding"
	case BadFormat:
		return "bad-format"
	default:
		return "policy-violation"
	}
}

// SyntaxError reports what a peer sent against the rules. The stream cannot go
// on after it.
type SyntaxError struct {
	Kind   Kind
	Offset int64  // of the fault, in bytes from the start of the connection
	Msg    string // never holds bytes of the peer
}

// Error returns the message and the offset; Kind has the condition.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at byte %d", e.Msg, e.Offset)
}
