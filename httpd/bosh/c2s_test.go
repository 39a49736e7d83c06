package bosh_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A client that logs in, sends itself messages, and leaves.
func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newServer(t)
		defer r.end()
		c, jid := r.login()
		for _, text := range []string{"ahoy", strings.Repeat("ü", 1000)} {
			c.ask("", "<message to='"+jid+"' xmlns='jabber:client'><body>"+text+"</body></message>").has(t, "<message xmlns='jabber:client' from='"+jid+"'", text)
		}
		c.ask("", "<message to='"+jid+"'><body>without a namespace</body></message>").has(t, "without a namespace")
		c.ask("type='terminate'", "<presence type='unavailable'/>").is(t, strings.Replace(empty, "/>", " type='terminate'/>", 1))
		c.ask("", "").ends(t, "item-not-found")
	})
}

// A client between two requests, or one that has said that it pauses, is there: what is
// for it waits for longer than c2s would wait for a connection.
func TestClientBetweenRequests(t *testing.T) {
	for _, c := range []struct {
		name, pause string
		away        time.Duration
	}{{"between two requests", "", 29 * time.Second}, {"paused", "pause='120'", 119 * time.Second}} {
		bubble(t, c.name, func(t *testing.T) {
			r := newServer(t)
			defer r.end()
			x, _ := r.login()
			if c.pause != "" {
				x.ask(c.pause, "").is(t, empty)
			}
			r.backend.deliver(t, "one", "two")
			time.Sleep(c.away / 2)
			r.backend.deliver(t, "three")
			time.Sleep(c.away - c.away/2)
			got := x.ask("", "").text
			for strings.Count(got, "<message") < 3 {
				a := x.ask("", "")
				if a.text == empty {
					break
				}
				got += a.text
			}
			i, j, k := strings.Index(got, "one"), strings.Index(got, "two"), strings.Index(got, "three")
			if i < 0 || j < i || k < j || r.backend.kept() != "" {
				t.Errorf("got %q, and %q was not delivered, want all three", got, r.backend.kept())
			}
		})
	}
}

// What a client has not got when its session ends was not delivered.
func TestUndelivered(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(x *client)
	}{
		{"stays away", func(*client) { time.Sleep(31 * time.Second) }},
		{"breaks a rule", func(x *client) { x.post(x.body(x.rid+100, "", "")).ends(x.t, "item-not-found") }},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newServer(t)
			defer r.end()
			x, _ := r.login()
			r.backend.deliver(t, "one", "two")
			synctest.Wait()
			c.end(x)
			synctest.Wait()
			if got, want := r.backend.kept(), "<body>one</body><body>two</body>"; got != want {
				t.Errorf("not delivered: got %q, want %q", got, want)
			}
		})
	}
}

// A session that can be resumed outlives the BOSH session, however that ends but by the
// client's own wish.
func TestResume(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(x *client)
		want  string
	}{
		{"stays away", func(*client) { time.Sleep(31 * time.Second) }, "<resumed "},
		{"is back before that is noticed", func(*client) { time.Sleep(time.Second) }, "<resumed "},
		{"terminates", func(x *client) { x.ask("type='terminate'", "") }, "<failed "},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newServer(t)
			defer r.end()
			x, _ := r.login()
			a := x.ask("", "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
			_, rest, _ := strings.Cut(a.text, " id='")
			id, _, _ := strings.Cut(rest, "'")
			r.backend.deliver(t, "one")
			synctest.Wait()
			c.leave(x)
			synctest.Wait()
			again := r.authenticate()
			got := again.ask("", "<resume xmlns='urn:xmpp:sm:3' previd='"+id+"' h='0'/>")
			got.has(t, c.want)
			if c.want == "<resumed " {
				text := got.text
				if !strings.Contains(text, "one") {
					text = again.ask("", "").text
				}
				if !strings.Contains(text, "one") {
					t.Errorf("got %q, want the message again", text)
				}
			}
		})
	}
}

// The end of the server is told, and does not wait for those who are away.
func TestServerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newServer(t)
		var held []*pending
		for range 20 {
			c, _ := r.login()
			held = append(held, c.send("", ""))
			r.login() // and is away
		}
		r.backend.deliver(t, "one")
		synctest.Wait()
		began := time.Now()
		r.end()
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("it took %v, want some 5 s", took)
		}
		for _, p := range held {
			if a := p.wait(); !strings.Contains(a.text, "one") {
				a.has(t, "<system-shutdown ")
			}
		}
	})
}
