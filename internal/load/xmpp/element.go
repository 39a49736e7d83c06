package xmpp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

var errStreamClosed = errors.New("the server closed the stream")

var (
	messageStart = []byte("<message")
	messageEnd   = []byte("</message>")
)

// elementLen returns the length of the element that b begins with, 0 if it is
// not complete. The end tag of the stream is errStreamClosed.
func elementLen(b []byte) (int, error) {
	switch {
	case len(b) < 2:
		return 0, nil
	case b[0] != '<':
		return 0, fmt.Errorf("text between the elements: %.60q", b)
	case b[1] == '/':
		if bytes.IndexByte(b, '>') < 0 {
			return 0, nil
		}
		return 0, errStreamClosed
	case bytes.HasPrefix(b, messageStart):
		return messageLen(b), nil
	}
	for depth, i := 0, 0; ; {
		open, end := nextTag(b, i)
		if end == 0 {
			return 0, nil
		}
		i = end
		switch {
		case b[open+1] == '/':
			depth--
		case b[end-2] == '/':
		default:
			depth++
		}
		if depth == 0 {
			return i, nil
		}
	}
}

// messageLen is the fast way for what comes most: a message of these workloads
// holds no other message, and no '>' in its start tag.
func messageLen(b []byte) int {
	tag := bytes.IndexByte(b, '>')
	if tag < 0 {
		return 0
	}
	if b[tag-1] == '/' {
		return tag + 1
	}
	end := bytes.Index(b[tag:], messageEnd)
	if end < 0 {
		return 0
	}
	return tag + end + len(messageEnd)
}

// nextTag returns where the next tag at or after i begins, and the offset after
// it, 0 if it is not complete.
func nextTag(b []byte, i int) (open, end int) {
	j := bytes.IndexByte(b[i:], '<')
	if j < 0 {
		return 0, 0
	}
	open = i + j
	var quote byte
	for k := open + 1; k < len(b); k++ {
		switch c := b[k]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '>':
			return open, k + 1
		}
	}
	return 0, 0
}

// name returns the name of the element that el begins with.
func name(el []byte) string {
	if len(el) < 2 {
		return ""
	}
	end := bytes.IndexAny(el[1:], " />\n\t\r")
	if end < 0 {
		return ""
	}
	return string(el[1 : 1+end])
}

// startTag returns the first tag of el.
func startTag(el []byte) []byte {
	if i := bytes.IndexByte(el, '>'); i >= 0 {
		return el[:i+1]
	}
	return el
}

// attribute returns the value of an attribute of a tag as it stands there, nil
// when there is none. key is the name with a space before and '=' after it.
func attribute(tag []byte, key string) []byte {
	i := bytes.Index(tag, []byte(key))
	if i < 0 || i+len(key) >= len(tag) {
		return nil
	}
	quote, v := tag[i+len(key)], tag[i+len(key)+1:]
	end := bytes.IndexByte(v, quote)
	if end < 0 {
		return nil
	}
	return v[:end]
}

// child returns what stands in the first element of a name in el, nil when
// there is none. start is how its tag begins, such as "<body"; no other name
// that occurs may begin so.
func child(el []byte, start, end string) []byte {
	i := bytes.Index(el, []byte(start))
	if i < 0 {
		return nil
	}
	el = el[i:]
	tag := bytes.IndexByte(el, '>')
	stop := bytes.Index(el, []byte(end))
	if tag < 0 || stop < tag {
		return nil
	}
	return el[tag+1 : stop]
}

// content returns what stands between the start and the end tag of el.
func content(el []byte) []byte {
	from, to := bytes.IndexByte(el, '>'), bytes.LastIndexByte(el, '<')
	if from < 0 || to <= from {
		return nil
	}
	return el[from+1 : to]
}

// unescape appends text to dst with its references replaced.
func unescape(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '&')
		if i < 0 {
			return append(dst, text...)
		}
		dst, text = append(dst, text[:i]...), text[i:]
		end := bytes.IndexByte(text, ';')
		if end < 0 {
			return append(dst, text...)
		}
		dst = append(dst, reference(string(text[1:end]))...)
		text = text[end+1:]
	}
}

// reference returns what a reference stands for, without its '&' and ';'.
func reference(name string) string {
	switch name {
	case "amp":
		return "&"
	case "lt":
		return "<"
	case "gt":
		return ">"
	case "quot":
		return `"`
	case "apos":
		return "'"
	}
	base, digits := 10, name[min(1, len(name)):]
	if len(digits) > 0 && digits[0] == 'x' {
		base, digits = 16, digits[1:]
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return "&" + name + ";"
	}
	return string(rune(n))
}

// number returns the value of decimal digits, -1 if that is not what b is.
func number(b []byte) int64 {
	if len(b) == 0 || len(b) > 18+1 {
		return -1
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
