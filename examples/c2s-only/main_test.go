package main

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const header = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// login returns a client that has bound a resource, and its address.
func login(t *testing.T, ln *listentest.Listener, user, password string) (*listentest.Client, string) {
	t.Helper()
	c := listentest.NewClient(t, ln.Dial())
	c.Send(header)
	c.Expect("<mechanism>PLAIN</mechanism>")
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + plain + "</auth>")
	c.Expect("<success")
	c.Send(header)
	c.Expect("</stream:features>")
	c.Send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	return c, c.ExpectMatch(`<jid>(.*)</jid>.*</iq>`)[1]
}

func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ln, done := listentest.NewListener(), make(chan error)
	go func() { done <- serve(ctx, ln) }()
	ana, from := login(t, ln, "ana", "anchor")
	bo, to := login(t, ln, "bo", "bollard")

	ana.Send("<message to='" + to + "' id='1'><body>ahoy</body></message>")
	bo.ExpectMatch(`<message from='` + from + `' to='` + to + `' id='1'><body>ahoy</body></message>`)
	ana.Send("<message to='nobody@localhost' id='2'><body>ahoy</body></message>")
	ana.ExpectMatch(`type='error' id='2'>.*service-unavailable.*</message>`)

	wrong := listentest.NewClient(t, ln.Dial())
	wrong.Send(header)
	wrong.Expect("</stream:features>")
	wrong.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00cy\x00capstan")) + "</auth>")
	wrong.Expect("<not-authorized/>")
	wrong.Close()

	cancel()
	ana.Expect("<system-shutdown")
	bo.Expect("<system-shutdown")
	ana.Close()
	bo.Close()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("serve: got %v, want %v", err, context.Canceled)
	}
}
