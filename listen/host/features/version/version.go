// Package version tells the name and version of the software (XEP-0092).
package version

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NS is the namespace of the request, whose element is query, and the feature
// that service discovery lists.
const NS = "jabber:iq:version"

// Info is what is told.
type Info struct {
	Name    string
	Version string
	OS      string // "": not told
}

// HandleIQ implements the request.
// See XEP-0092, section 3.
func (i Info) HandleIQ(_ context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	if iq.Type != stanza.TypeGet {
		return nil, &stanza.Error{Condition: stanza.NotAllowed}
	}
	b := []byte("<query xmlns='" + NS + "'>")
	b = appendText(b, "name", i.Name)
	b = appendText(b, "version", i.Version)
	if i.OS != "" {
		b = appendText(b, "os", i.OS)
	}
	return iq.Result(string(append(b, "</query>"...))), nil
}

func appendText(b []byte, element, text string) []byte {
	b = append(b, '<')
	b = append(b, element...)
	b = append(b, '>')
	b = stanza.AppendEscaped(b, text)
	b = append(b, '<', '/')
	b = append(b, element...)
	return append(b, '>')
}
