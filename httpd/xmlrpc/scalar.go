package xmlrpc

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"time"
)

// scalar returns the value of a type without parts. Of numbers and times the specification
// allows no white space around them; we do.
func scalar(name, text []byte) (any, error) {
	switch string(name) {
	case "string":
		return string(text), nil
	case "base64":
		return decodeBase64(text)
	}
	text = trim(text)
	switch string(name) {
	case "int", "i4", "i8":
		n, err := strconv.Atoi(string(text))
		if err != nil {
			return nil, errRequest
		}
		return n, nil
	case "boolean":
		if len(text) == 1 && (text[0] == '0' || text[0] == '1') {
			return text[0] == '1', nil
		}
	case "double":
		f, err := strconv.ParseFloat(string(text), 64)
		if err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) && !bytes.ContainsAny(text, "xX_") {
			return double(f), nil
		}
	case "dateTime.iso8601":
		if isDateTime(string(text)) {
			return dateTime(text), nil
		}
	case "nil":
		if len(text) == 0 {
			return nil, nil
		}
	}
	return nil, errRequest
}

// isDateTime knows the form of the specification, and that with hyphens and a zone which
// some clients send.
func isDateTime(s string) bool {
	for _, layout := range []string{"20060102T15:04:05", "20060102T15:04:05Z07:00", time.RFC3339, "2006-01-02T15:04:05"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}

func decodeBase64(text []byte) (any, error) {
	packed := make([]byte, 0, len(text))
	for _, c := range text {
		if !isSpace(c) {
			packed = append(packed, c)
		}
	}
	n, err := base64.StdEncoding.Decode(packed, packed)
	if err != nil {
		return nil, errRequest
	}
	return packed[:n], nil
}
