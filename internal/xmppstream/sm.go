package xmppstream

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NSSM is the namespace of stream management (XEP-0198).
const NSSM = "urn:xmpp:sm:3"

// ackRequest is the element that asks for an acknowledgement.
const ackRequest = "<r xmlns='" + NSSM + "'/>"

// maxResumption is the longest time of resumption that is told apart, of those
// that a peer may name.
const maxResumption = math.MaxInt32 * time.Second

// Enable asks for a managed stream.
// See XEP-0198, section 3.
type Enable struct {
	Resume bool          // it is to be resumable
	Max    time.Duration // for how long, whole seconds; 0: not said
}

// ParseEnable takes <enable/> apart. A max that is no number of seconds counts
// as not said: it is only a wish. The error is a *stanza.Error.
func ParseEnable(e *stanza.Element) (Enable, error) {
	resume, err := parseBool(e.Attr("resume"))
	return Enable{Resume: resume, Max: parseSeconds(e.Attr("max"))}, err
}

// AppendXML appends <enable/>.
func (m *Enable) AppendXML(dst []byte) []byte {
	dst = appendStart(dst, "enable")
	dst = appendResume(dst, m.Resume, m.Max)
	return append(dst, "/>"...)
}

// Enabled says that a stream is managed.
// See XEP-0198, section 3.
type Enabled struct {
	ID       string // for Resume, "" for none
	Resume   bool
	Max      time.Duration // how long it can be resumed, whole seconds; 0: not said
	Location string        // host or host:port to reconnect to, "" for none
}

// AppendXML appends <enabled/>.
func (m *Enabled) AppendXML(dst []byte) []byte {
	dst = appendStart(dst, "enabled")
	if m.ID != "" {
		dst = appendAttr(dst, "id", m.ID)
	}
	dst = appendResume(dst, m.Resume, m.Max)
	if m.Location != "" {
		dst = appendAttr(dst, "location", m.Location)
	}
	return append(dst, "/>"...)
}

// Resumption is the content of <resume/>, by which a peer asks for its former
// stream, and of <resumed/>, which grants it.
// See XEP-0198, section 5.
type Resumption struct {
	ID string // of the former stream
	H  uint32 // stanzas that the sender has handled
}

// ParseResumption takes <resume/> or <resumed/> apart. The error is a
// *stanza.Error: both attributes must be there.
func ParseResumption(e *stanza.Element) (Resumption, error) {
	m := Resumption{ID: e.Attr("previd")}
	if m.ID == "" {
		return m, badRequest("previd is missing")
	}
	h, ok := parseCount(e.Attr("h"))
	if !ok {
		return m, badRequest("h is no number of stanzas")
	}
	m.H = h
	return m, nil
}

// AppendResumed appends <resumed/>.
func (m *Resumption) AppendResumed(dst []byte) []byte {
	dst = appendStart(dst, "resumed")
	dst = appendAttr(dst, "previd", m.ID)
	dst = appendCount(dst, "h", m.H)
	return append(dst, "/>"...)
}

// Failed refuses Enable or a Resumption; the stream goes on.
// See XEP-0198, sections 5 and 6.
type Failed struct {
	Condition stanza.Condition // "": not said
	Known     bool             // the former stream was known, but is over, and H is how far it got
	H         uint32
}

// AppendXML appends <failed/>.
func (m *Failed) AppendXML(dst []byte) []byte {
	dst = appendStart(dst, "failed")
	if m.Known {
		dst = appendCount(dst, "h", m.H)
	}
	if m.Condition == "" {
		return append(dst, "/>"...)
	}
	dst = append(dst, "><"...)
	dst = append(dst, m.Condition...)
	return append(dst, " xmlns='"+stanza.NSStanzas+"'/></failed>"...)
}

// ParseAck returns how many stanzas an <a/> acknowledges. The error is a
// *stanza.StreamError.
// See XEP-0198, section 4.
func ParseAck(e *stanza.Element) (uint32, error) {
	h, ok := parseCount(e.Attr("h"))
	if !ok {
		return 0, &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "h is no number of stanzas"}
	}
	return h, nil
}

// AppendAck appends <a/>.
func AppendAck(dst []byte, h uint32) []byte {
	dst = appendStart(dst, "a")
	dst = appendCount(dst, "h", h)
	return append(dst, "/>"...)
}

func badRequest(text string) error {
	return &stanza.Error{Condition: stanza.BadRequest, Text: text}
}

// blanks are what XML Schema takes away around a number or truth value.
const blanks = " \t\r\n"

// parseBool reads an xs:boolean, false when absent.
func parseBool(s string) (bool, error) {
	switch strings.Trim(s, blanks) {
	case "true", "1":
		return true, nil
	case "false", "0", "":
		return false, nil
	}
	return false, badRequest("resume is neither true nor false")
}

// parseCount reads an xs:unsignedInt.
func parseCount(s string) (uint32, bool) {
	n, err := strconv.ParseUint(strings.Trim(s, blanks), 10, 32)
	return uint32(n), err == nil
}

// parseSeconds reads a number of seconds, 0 for what is none.
func parseSeconds(s string) time.Duration {
	n, err := strconv.ParseUint(strings.Trim(s, blanks), 10, 64)
	if err != nil && n != math.MaxUint64 { // which stands for more
		return 0
	}
	if n > uint64(maxResumption/time.Second) {
		return maxResumption
	}
	return time.Duration(n) * time.Second
}

func appendStart(dst []byte, name string) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	return append(dst, " xmlns='"+NSSM+"'"...)
}

func appendCount(dst []byte, name string, n uint32) []byte {
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, "='"...)
	dst = strconv.AppendUint(dst, uint64(n), 10)
	return append(dst, '\'')
}

func appendResume(dst []byte, resume bool, limit time.Duration) []byte {
	if resume {
		dst = append(dst, " resume='true'"...)
	}
	if s := limit / time.Second; s > 0 {
		dst = appendCount(dst, "max", uint32(min(s, math.MaxInt32)))
	}
	return dst
}
