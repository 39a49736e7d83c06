package xmlrpc

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

const (
	prologue = `<?xml version="1.0"?>` + "\n" + `<methodResponse>`
	epilogue = `</methodResponse>` + "\n"
)

// appendResponse appends a response with a value.
func appendResponse(b []byte, v any) []byte {
	b = append(b, prologue+`<params><param>`...)
	b = appendValue(b, v)
	return append(b, `</param></params>`+epilogue...)
}

// appendFault appends a response that is a fault.
func appendFault(b []byte, f *fault) []byte {
	b = append(b, prologue+`<fault>`...)
	b = appendValue(b, structure{{"faultCode", f.code}, {"faultString", f.Error()}})
	return append(b, `</fault>`+epilogue...)
}

// appendResult appends the response with the result of a command: a structure of one
// member, with the name of the result, but always text for a ResTuple.
func appendResult(b []byte, result command.Field, v any) []byte {
	name := result.Name
	if result.Type == command.ResTuple {
		name = "text"
	}
	b = append(b, prologue+`<params><param><value><struct>`...)
	b = appendName(b, name)
	b = appendTyped(b, result.Type, v)
	return append(b, `</member></struct></value></param></params>`+epilogue...)
}

// appendTyped appends a value as command.Type makes it: a ResCode as 0 for success and 1
// for failure, a Tuple in the order of its parts.
func appendTyped(b []byte, t command.Type, v any) []byte {
	switch t := t.(type) {
	case command.List:
		b = append(b, `<value><array><data>`...)
		for _, item := range v.([]any) {
			b = appendTyped(b, t.Of.Type, item)
		}
		return append(b, `</data></array></value>`...)
	case command.Tuple:
		parts := v.(command.Args)
		b = append(b, `<value><struct>`...)
		for _, f := range t {
			b = appendName(b, f.Name)
			b = appendTyped(b, f.Type, parts[f.Name])
			b = append(b, `</member>`...)
		}
		return append(b, `</struct></value>`...)
	}
	if t == command.ResCode {
		code := 1
		if v.(bool) {
			code = 0
		}
		return appendValue(b, code)
	}
	return appendValue(b, v)
}

// appendName appends the beginning of a member.
func appendName(b []byte, name string) []byte {
	b = append(b, `<member><name>`...)
	b = appendText(b, name)
	return append(b, `</name>`...)
}

// appendValue appends a value of the types that the decoder makes.
func appendValue(b []byte, v any) []byte {
	b = append(b, `<value>`...)
	switch v := v.(type) {
	case nil:
		b = append(b, `<nil/>`...)
	case string:
		b = append(b, `<string>`...)
		b = appendText(b, v)
		b = append(b, `</string>`...)
	case int:
		b = appendInt(b, v)
	case bool:
		bit := byte('0')
		if v {
			bit = '1'
		}
		b = append(b, `<boolean>`...)
		b = append(b, bit)
		b = append(b, `</boolean>`...)
	case double:
		b = append(b, `<double>`...)
		b = strconv.AppendFloat(b, float64(v), 'f', -1, 64) // there are no exponents in XML-RPC
		b = append(b, `</double>`...)
	case dateTime:
		b = append(b, `<dateTime.iso8601>`...)
		b = append(b, v...)
		b = append(b, `</dateTime.iso8601>`...)
	case []byte:
		b = append(b, `<base64>`...)
		b = base64.StdEncoding.AppendEncode(b, v)
		b = append(b, `</base64>`...)
	case []any:
		b = append(b, `<array><data>`...)
		for _, item := range v {
			b = appendValue(b, item)
		}
		b = append(b, `</data></array>`...)
	case structure:
		b = append(b, `<struct>`...)
		for _, m := range v {
			b = appendName(b, m.name)
			b = appendValue(b, m.value)
			b = append(b, `</member>`...)
		}
		b = append(b, `</struct>`...)
	}
	return append(b, `</value>`...)
}

// appendInt appends an int, which has 32 bits, or an i8, the extension that most clients
// know.
func appendInt(b []byte, n int) []byte {
	if math.MinInt32 <= n && n <= math.MaxInt32 {
		b = append(b, `<int>`...)
		b = strconv.AppendInt(b, int64(n), 10)
		return append(b, `</int>`...)
	}
	b = append(b, `<i8>`...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, `</i8>`...)
}

// appendText appends text that reads as it was: what XML cannot carry becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf && c >= ' ' && c != '<' && c != '>' && c != '&' {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		with := ""
		switch {
		case r == '<':
			with = "&lt;"
		case r == '>':
			with = "&gt;"
		case r == '&':
			with = "&amp;"
		case r == '\r': // would be read as the end of a line
			with = "&#13;"
		case !isChar(r) || r == utf8.RuneError:
			with = "\uFFFD"
		default:
			i += n
			continue
		}
		b = append(b, s[done:i]...)
		b = append(b, with...)
		i += n
		done = i
	}
	return append(b, s[done:]...)
}
