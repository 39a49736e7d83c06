package xmppstream

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// ParseAuth takes <auth/> apart. initial is nil when there is no initial
// response, and empty for "=", which is an empty one. The error is a
// *sasl.Failure: incorrect-encoding or malformed-request.
// See RFC 6120, section 6.4.2.
func ParseAuth(e *stanza.Element) (mechanism string, initial []byte, err error) {
	mechanism = e.Attr("mechanism")
	if mechanism == "" {
		return "", nil, &sasl.Failure{Condition: sasl.InvalidMechanism}
	}
	if e.Text == "" && len(e.Children) == 0 {
		return mechanism, nil, nil
	}
	initial, err = decode(e)
	return mechanism, initial, err
}

// AppendAuth appends <auth/>. initial is nil for no initial response; an empty one
// is written as "=".
// See RFC 6120, section 6.4.2.
func AppendAuth(dst []byte, mechanism string, initial []byte) []byte {
	dst = append(dst, "<auth xmlns='"+NSSASL+"'"...)
	dst = appendAttr(dst, "mechanism", mechanism)
	switch {
	case initial == nil:
		return append(dst, '/', '>')
	case len(initial) == 0:
		return append(dst, ">=</auth>"...)
	}
	dst = append(dst, '>')
	dst = base64.StdEncoding.AppendEncode(dst, initial)
	return append(dst, "</auth>"...)
}

// ParseResponse returns the data of <response/>, empty but not nil when it has
// none. Its errors are those of ParseAuth.
// See RFC 6120, section 6.4.4.
func ParseResponse(e *stanza.Element) ([]byte, error) { return decode(e) }

// decode decodes base64, strictly: no line breaks, no other characters outside
// of the alphabet, all padding there, its bits zero.
// See RFC 6120, section 13.9.1.
func decode(e *stanza.Element) ([]byte, error) {
	if len(e.Children) > 0 {
		return nil, &sasl.Failure{Condition: sasl.MalformedRequest, Err: errors.New("element has children")}
	}
	if e.Text == "" || e.Text == "=" {
		return []byte{}, nil
	}
	if strings.ContainsAny(e.Text, "\r\n") { // which encoding/base64 skips
		return nil, &sasl.Failure{Condition: sasl.IncorrectEncoding, Err: errors.New("line break in base64")}
	}
	data, err := base64.StdEncoding.Strict().DecodeString(e.Text)
	if err != nil {
		return nil, &sasl.Failure{Condition: sasl.IncorrectEncoding, Err: err}
	}
	return data, nil
}

// AppendChallenge appends <challenge/>.
// See RFC 6120, section 6.4.3.
func AppendChallenge(dst, data []byte) []byte {
	return appendData(dst, "challenge", data)
}

// AppendSuccess appends <success/>. data is additional data with it, nil for
// none; empty data is written as "=".
// See RFC 6120, section 6.4.6.
func AppendSuccess(dst, data []byte) []byte {
	if data != nil && len(data) == 0 {
		return append(dst, "<success xmlns='"+NSSASL+"'>=</success>"...)
	}
	return appendData(dst, "success", data)
}

func appendData(dst []byte, name string, data []byte) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	dst = append(dst, " xmlns='"+NSSASL+"'"...)
	if len(data) == 0 {
		return append(dst, '/', '>')
	}
	dst = append(dst, '>')
	dst = base64.StdEncoding.AppendEncode(dst, data)
	dst = append(dst, '<', '/')
	dst = append(dst, name...)
	return append(dst, '>')
}

// AppendFailure appends <failure/>. An error that is no *sasl.Failure becomes
// temporary-auth-failure.
// See RFC 6120, section 6.4.5.
func AppendFailure(dst []byte, err error) []byte {
	f := &sasl.Failure{Condition: sasl.TemporaryAuthFailure}
	errors.As(err, &f)
	dst = append(dst, "<failure xmlns='"+NSSASL+"'><"...)
	dst = append(dst, f.Condition...)
	dst = append(dst, '/', '>')
	if f.Text != "" {
		dst = append(dst, "<text xml:lang='en'>"...)
		dst = stanza.AppendEscaped(dst, f.Text)
		dst = append(dst, "</text>"...)
	}
	return append(dst, "</failure>"...)
}
