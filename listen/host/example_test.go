package host_test

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// A router takes anything that implements stanza.Sink as a session: here a
// program talks to its users without a connection.
func Example() {
	ctx := context.Background()
	h, err := host.New(host.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	bot, err := stanza.ParseJID("bot@localhost/in-process")
	if err != nil {
		fmt.Println(err)
		return
	}
	var inbox listentest.Sink
	if _, err := h.Local.Bind(ctx, stanza.Binding{JID: bot, Sink: &inbox}); err != nil {
		fmt.Println(err)
		return
	}
	m, err := stanza.Parse("<message xmlns='jabber:client' from='ana@localhost/phone' to='bot@localhost/in-process'><body>ahoy</body></message>")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := h.Local.Route(ctx, m); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(inbox.Stanzas()[0])
	// Output: <message from='ana@localhost/phone' to='bot@localhost/in-process'><body>ahoy</body></message>
}
