package websocket

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const nsFraming = "urn:ietf:params:xml:ns:xmpp-framing"

const closeTag = "<close xmlns='" + nsFraming + "'/>"

// parseOpen takes an <open/> apart (RFC 7395, section 3.4).
func parseOpen(e *xmlstream.Element) (stanza.Header, error) {
	switch {
	case string(e.Name.Local) != "open":
		return stanza.Header{}, &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "a stream begins with <open/>"}
	case string(e.Name.Space) != nsFraming:
		return stanza.Header{}, &stanza.StreamError{Condition: stanza.StreamInvalidNamespace}
	}
	attr := func(space, local string) string {
		v, _ := e.Attr(space, local)
		return string(v)
	}
	return stanza.Header{
		From: attr("", "from"), To: attr("", "to"), ID: attr("", "id"), Lang: attr(xmlstream.NSXML, "lang"),
		Version: attr("", "version"), Namespace: stanza.NSClient,
	}, nil
}

// appendOpen adds an <open/>.
func appendOpen(dst []byte, h stanza.Header) []byte {
	dst = append(dst, "<open xmlns='"+nsFraming+"'"...)
	for _, a := range [...][2]string{{"id", h.ID}, {"from", h.From}, {"to", h.To}, {"version", h.Version}, {"xml:lang", h.Lang}} {
		if a[1] == "" {
			continue
		}
		dst = append(dst, ' ')
		dst = append(dst, a[0]...)
		dst = append(dst, "='"...)
		dst = stanza.AppendEscaped(dst, a[1])
		dst = append(dst, '\'')
	}
	return append(dst, "/>"...)
}

// appendClose adds a <close/> that sends the client elsewhere (RFC 7395, section 3.6.1).
func appendClose(dst []byte, uri string) []byte {
	dst = append(dst, "<close xmlns='"+nsFraming+"' see-other-uri='"...)
	return append(stanza.AppendEscaped(dst, uri), "'/>"...)
}

// declaration is an XML declaration that says nothing new (XML 1.0, section 2.8).
var declaration = regexp.MustCompile(strings.NewReplacer(" = ", `[ \t\r\n]*=[ \t\r\n]*`, "  ", `[ \t\r\n]*`, " ", `[ \t\r\n]+`).Replace(
	`^<\?xml version = ('1\.0'|"1\.0")( encoding = ('(?i:utf-8)'|"(?i:utf-8)"))?( standalone = ('(yes|no)'|"(yes|no)"))?  \?>  `))

// withoutDeclaration returns a message without its XML declaration, which clients should
// leave out but need not (RFC 7395, section 3.3.3).
func withoutDeclaration(b []byte) []byte {
	if !bytes.HasPrefix(b, []byte("<?xml")) {
		return b
	}
	return b[len(declaration.Find(b)):]
}

// isStanza says whether an element is a stanza.
func isStanza(e *xmlstream.Element) bool {
	switch string(e.Name.Local) {
	case "message", "presence", "iq":
		return string(e.Name.Space) == stanza.NSClient
	}
	return false
}

// isStreamTag says whether an element is that of a stream over TCP.
func isStreamTag(e *xmlstream.Element) bool {
	return string(e.Name.Space) == stanza.NSStream && string(e.Name.Local) == "stream"
}
