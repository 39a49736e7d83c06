package xmppstream

import (
	"crypto/rand"
	"errors"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NewStreamID returns the id of a new stream: at least 128 random bits.
// See RFC 6120, section 4.7.3.
func NewStreamID() string { return rand.Text() }

// IsOld reports whether the version of a peer's stream is lower than 1.0, as is one
// that it does not name; we answer 1.0 to a higher one. The error is a
// *stanza.StreamError for what is no version.
// See RFC 6120, section 4.7.5.
func IsOld(version string) (bool, error) {
	if version == "" {
		return true, nil
	}
	major, minor, ok := strings.Cut(version, ".")
	n, err := strconv.ParseUint(major, 10, 16)
	if _, merr := strconv.ParseUint(minor, 10, 16); !ok || err != nil || merr != nil {
		return false, unsupportedVersion()
	}
	return n < 1, nil
}

// CheckVersion is IsOld for streams that need features: the error is also for a
// version that is old.
func CheckVersion(version string) error {
	old, err := IsOld(version)
	if old {
		return unsupportedVersion()
	}
	return err
}

func unsupportedVersion() error {
	return &stanza.StreamError{Condition: stanza.StreamUnsupportedVersion, Text: "the version is 1.0"}
}

// maxLang is the longest xml:lang of a stream, in bytes: the longest language tag
// that implementations must take (RFC 5646, section 4.4.1).
const maxLang = 35

// CheckLang returns a *stanza.StreamError for an xml:lang that is longer than any
// language tag has to be.
func CheckLang(lang string) error {
	if len(lang) > maxLang {
		return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "xml:lang is too long"}
	}
	return nil
}

// parseHeader takes a stream header apart.
func parseHeader(s *xmlstream.Start) (stanza.Header, error) {
	switch {
	case string(s.Name.Space) != stanza.NSStream:
		return stanza.Header{}, &stanza.StreamError{Condition: stanza.StreamInvalidNamespace, Err: errors.New("root of the stream is in another namespace")}
	case string(s.Name.Local) != "stream":
		return stanza.Header{}, &stanza.StreamError{Condition: stanza.StreamBadFormat, Err: errors.New("root of the stream is not stream")}
	}
	h := stanza.Header{
		From:    attr(s, "", "from"),
		To:      attr(s, "", "to"),
		ID:      attr(s, "", "id"),
		Lang:    attr(s, xmlstream.NSXML, "lang"),
		Version: attr(s, "", "version"),
	}
	for i := range s.Decls {
		switch d := &s.Decls[i]; {
		case len(d.Prefix) == 0:
			h.Namespace = string(d.URI)
		case string(d.URI) == NSDialback:
			h.Dialback = true
		}
	}
	return h, nil
}

func attr(s *xmlstream.Start, space, local string) string {
	v, _ := s.Attr(space, local)
	return string(v)
}

// appendHeader appends a stream header, with the XML declaration before it.
// See RFC 6120, sections 4.7 and 11.5.
func appendHeader(dst []byte, h stanza.Header) []byte {
	dst = append(dst, "<?xml version='1.0'?><stream:stream"...)
	dst = appendAttr(dst, "xmlns", h.Namespace)
	dst = appendAttr(dst, "xmlns:stream", stanza.NSStream)
	if h.Namespace == stanza.NSServer { // XEP-0220, section 2.1.1
		dst = appendAttr(dst, "xmlns:db", NSDialback)
	}
	for _, a := range [...][2]string{
		{"id", h.ID}, {"from", h.From}, {"to", h.To}, {"version", h.Version}, {"xml:lang", h.Lang},
	} {
		if a[1] != "" {
			dst = appendAttr(dst, a[0], a[1])
		}
	}
	return append(dst, '>')
}

func appendAttr(dst []byte, name, value string) []byte {
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, "='"...)
	dst = stanza.AppendEscaped(dst, value)
	return append(dst, '\'')
}
