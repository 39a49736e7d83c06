package c2s

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stall is a client that gets somewhere in the negotiation and no further.
type stall struct {
	name    string
	prepare func(*rig)
	to      func(t *testing.T, r *rig) *client
	silent  bool // TLS under way: no error can be told
}

func stalls() []stall {
	slowly := func(text string) func(*testing.T, *rig) *client {
		return func(_ *testing.T, r *rig) *client {
			c := r.dial()
			r.feeding.Go(func() {
				for i := range text {
					if _, err := io.WriteString(c.conn, text[i:i+1]); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			})
			return c
		}
	}
	upgrading := func(_ *testing.T, r *rig) *client {
		c := r.open()
		c.Send(starttls)
		c.Expect(proceed)
		return c
	}
	dial := func(_ *testing.T, r *rig) *client { return r.dial() }
	half := func(open func(*testing.T, *rig) *client) func(*testing.T, *rig) *client {
		return func(t *testing.T, r *rig) *client {
			c := open(t, r)
			c.Send(clientHello(t)[:100])
			return c
		}
	}
	return []stall{
		{"silent", nil, dial, false},
		{"one byte a second, header", nil, slowly("<stream:stream" + strings.Repeat(" ", 600)), false},
		{"one byte a second, stanza", nil, slowly(header("one.test") + "<a>" + strings.Repeat("x", 600)), false},
		{"after the header", nil, func(_ *testing.T, r *rig) *client { return r.open() }, false},
		{"in the middle of a login", nil, func(_ *testing.T, r *rig) *client {
			c := r.open()
			c.Send(auth("SCRAM-SHA-1", "n,,n=ana,r=x"))
			c.Expect("</challenge>")
			return c
		}, false},
		{"before binding", nil, func(_ *testing.T, r *rig) *client { return r.authenticated("ana") }, false},
		{"no handshake after STARTTLS", withTLS, upgrading, true},
		{"half a handshake after STARTTLS", withTLS, half(upgrading), true},
		{"no handshake, TLS from the start", directTLS, dial, true},
		{"half a handshake, TLS from the start", directTLS, half(dial), true},
	}
}

// TestNegotiationTimeout checks that a client has only so long to bind its
// resource, however far it gets and whatever it keeps sending.
func TestNegotiationTimeout(t *testing.T) {
	for _, tt := range stalls() {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(r *rig) {
					if tt.prepare != nil {
						tt.prepare(r)
					}
				})
				began := time.Now()
				c := tt.to(t, r)
				_ = c.conn.SetReadDeadline(time.Time{})
				rest, _ := io.ReadAll(c.conn)
				took := time.Since(began)
				c.Close()
				r.feeding.Wait()
				if want := r.o.NegotiationTimeout; took != want {
					t.Errorf("got the end after %v, want %v", took, want)
				}
				told := strings.Contains(string(rest), "<connection-timeout xmlns='"+nsStreams+"'/></stream:error></stream:stream>")
				if told == tt.silent {
					t.Errorf("got %q, want connection-timeout told: %v", rest, !tt.silent)
				}
			})
		})
	}
}

// clientHello returns the first bytes of a TLS client.
func clientHello(t *testing.T) string {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		_ = tls.Client(client, &tls.Config{ServerName: "one.test"}).Handshake()
	}()
	buf := make([]byte, 4096)
	n, err := server.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	return string(buf[:n])
}

// TestNegotiationWithoutTimeout checks that 0 means no bound.
func TestNegotiationWithoutTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(r *rig) { r.o.NegotiationTimeout = 0 })
		c := r.open()
		time.Sleep(24 * time.Hour)
		c.plain("ana")
		c.bind("ana", "boat")
	})
}

// TestSilentConnections checks that many connections that say nothing are all
// gone after the negotiation timeout, and that others log in meanwhile.
func TestSilentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 10_000
		r := start(t)
		var silent []net.Conn
		for range many {
			silent = append(silent, r.ln.Dial())
		}
		synctest.Wait()
		c := r.login("ana", "boat")
		began := time.Now()
		for _, s := range silent {
			if _, err := io.Copy(io.Discard, s); err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
		}
		if took := time.Since(began); took > r.o.NegotiationTimeout {
			t.Errorf("got the last one's end after %v, want it within %v", took, r.o.NegotiationTimeout)
		}
		c.Send("<message id='1'/>")
		<-r.fake.routed
	})
}

// TestLimits checks the bounds on single elements, before and after the login,
// and that they are kept while reading: the client of a huge element is not
// read to its end.
func TestLimits(t *testing.T) {
	const laughs = "<!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol1 '&lol;&lol;&lol;&lol;'>]><message><body>&lol1;</body></message>"
	tests := []struct {
		name   string
		send   string
		repeat string // sent up to 1 GiB
		want   string
	}{
		{"attribute", "<message to='", "x", "policy-violation"},
		{"name", "<", "x", "policy-violation"},
		{"text", "<message>", "x", "policy-violation"},
		{"attributes", "<message ", "a='' ", "policy-violation"},
		{"elements", "<message>", "<a/>", "policy-violation"},
		{"depth", strings.Repeat("<a>", 10_000), "", "policy-violation"},
		{"reference", "<message>&#", "0", "restricted-xml"},
		{"entities", laughs, "", "restricted-xml"},
	}
	states := []struct {
		name string
		open func(r *rig) *client
	}{
		{"before the header", (*rig).dial},
		{"before login", (*rig).open},
		{"in session", func(r *rig) *client { return r.login("ana", "boat") }},
	}
	for _, st := range states {
		for _, tt := range tests {
			t.Run(st.name+"/"+tt.name, func(t *testing.T) {
				c := st.open(start(t))
				sent := make(chan int)
				go func() { sent <- flood(c.conn, tt.send, tt.repeat, 1<<30) }()
				rest := c.ExpectEOF()
				c.Close()
				if n := <-sent; n > 2<<20 {
					t.Errorf("got %d bytes read, want an early end", n)
				}
				if st.name == "before the header" {
					tt.want = "" // it depends
				}
				if !strings.Contains(rest, "<stream:error><"+tt.want) {
					t.Errorf("got %.500s, want %s", rest, tt.want)
				}
				c.wellFormed()
			})
		}
	}
}

// flood writes text, and then repeat again and again, until n bytes have been
// written or the server has had enough.
func flood(w io.Writer, text, repeat string, n int) (sent int) {
	if _, err := io.WriteString(w, text); err != nil || repeat == "" {
		return len(text)
	}
	chunk := strings.Repeat(repeat, 32<<10/len(repeat))
	for sent = len(text); sent < n; sent += len(chunk) {
		if _, err := io.WriteString(w, chunk); err != nil {
			break
		}
	}
	return sent
}

// TestExactLimits checks where the configured bounds lie and when they change.
func TestExactLimits(t *testing.T) {
	sized := func(n int) string {
		const frame = "<message id='1'></message>"
		return "<message id='1'>" + strings.Repeat("x", n-len(frame)) + "</message>"
	}
	elements := func(n int) string { return "<message id='1'>" + strings.Repeat("<a/>", n-1) + "</message>" }
	set := func(r *rig) {
		r.o.PreAuthMaxStanzaSize, r.o.PreAuthMaxStanzaElements = 1000, 10
		r.o.MaxStanzaSize, r.o.MaxStanzaElements = 5000, 50
	}
	for _, tt := range []struct {
		name, send string
		login, ok  bool
	}{
		{"size before login", sized(1000), false, true},
		{"size before login, one more", sized(1001), false, false},
		{"elements before login", elements(10), false, true},
		{"elements before login, one more", elements(11), false, false},
		{"size in session", sized(5000), true, true},
		{"size in session, one more", sized(5001), true, false},
		{"elements in session", elements(50), true, true},
		{"elements in session, one more", elements(51), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, set)
			c := r.open()
			if tt.login {
				c.plain("ana")
				c.bind("ana", "boat")
			}
			c.Send(tt.send)
			switch {
			case !tt.ok:
				c.expectError("policy-violation")
			case tt.login:
				receive(t, "stanza", r.fake.routed)
			default:
				c.expectError("not-authorized") // it was read
			}
		})
	}
}
