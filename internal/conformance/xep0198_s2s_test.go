package conformance

import (
	"testing"
	"testing/synctest"
	"time"
)

const smFeature = "<sm xmlns='urn:xmpp:sm:3'/>"

// managed is a row of a server p that has logged in by EXTERNAL and is offered
// stream management; where it is not, there is nothing to test.
func managed(name, script string) frow {
	return frow{name: name, with: withTLS, do: func(f *federation) {
		f.script("login ro 1\nauto two two.example")
		f.starttls("p", "two.example", "two.example", "one.example")
		f.without("p > <auth $sasl mechanism='EXTERNAL'>=</auth>")
		f.client("p").take()
		if f.open("p", "two.example", "one.example").child("sm") != nil {
			f.script(script)
		}
	}}
}

// manages is a row of a server q that offers stream management to one.example,
// which may use it: then q goes on with the script.
func manages(name string, do func(f *federation, q *client)) frow {
	return frow{name: name, do: func(f *federation) {
		f.script(`
			login ro 1
			serve q two.example
			ro > <message to='$j' id='1'><body>1</body></message>
			q < <stream:stream/>
			greet q $dialback` + smFeature + `
			q < <db:result/>`)
		q := f.client("q")
		q.send("<db:result from='two.example' to='one.example' type='valid'/>")
		synctest.Wait()
		if q.enabling() {
			q.set(func() { q.sm = true })
			q.send("<enabled xmlns='" + nsSM + "'/>")
			q.take()
			do(f, q)
		}
	}}
}

var managedRows = []frow{
	{name: "2 the feature is offered once stanzas may be sent", with: withTLS, do: func(f *federation) {
		f.dial("p", "one.example")
		if features := f.open("p", "two.example", "one.example"); features.child("sm") != nil && features.child("dialback") == nil {
			f.fail("got %s", features.raw)
		}
		if f.starttls("p2", "two.example", "two.example", "one.example").child("mechanisms").child("sm") != nil {
			f.fail("sm is within mechanisms")
		}
	}},
	managed("3 enable", `
		p > <enable $sm/>
		p < <enabled $sm/>`),
	managed("3, 5 enable for resumption", `
		p > <enable $sm resume='true'/>
		p < <enabled $sm resume='absent'/> | <enabled $sm resume='~0|false'/> | <enabled $sm resume='~1|true' id='*'/>`),
	managed("3 twice", `
		p > <enable $sm/>
		p < <enabled $sm/>
		p > <enable $sm/>
		p < <failed $sm><unexpected-request $stanzas/></failed>
		or
		p ? <a $sm/>
		p ? <failed $sm><unexpected-request $stanzas/></failed>
		p ends any`),
	managed("4 stanzas are counted from zero", `
		p > <enable $sm/>
		p < <enabled $sm/>
		p > <r $sm/>
		p < <a $sm h='0'/>
		p > <message from='$j' to='$ro' id='1'/><presence from='$jb' to='$ro' id='2'/><r $sm/>
		ro < <message id='1'/>
		ro < <presence id='2'/>
		p < <a $sm h='2'/>`),
	managed("4 a stanza right behind enable counts", `
		p > <enable $sm/><message from='$j' to='$ro' id='1'/><r $sm/>
		p << <enabled $sm/>
		p << <a $sm h='1'/>
		ro < <message id='1'/>`),
	managed("4 a stanza before enable does not count", `
		p > <message from='$j' to='$ro' id='1'/><enable $sm/><r $sm/>
		p << <enabled $sm/>
		p << <a $sm h='0'/>
		ro < <message id='1'/>`),
	managed("4 what is no stanza does not count", `
		auto three three.example
		p > <enable $sm/>
		p < <enabled $sm/>
		p > <db:result from='three.example' to='one.example'>c0ffee</db:result>
		p < <db:result type='valid'/>
		p > <r $sm/>
		p < <a $sm h='0'/>`),
	managed("4 requests without enable", `
		p > <r $sm/>
		p ends any
		or
		p < <failed $sm/>
		or
		p < <failed $sm/>
		p ends any
		or`),
	managed("6 more acknowledged than sent", `
		p > <enable $sm/>
		p < <enabled $sm/>
		p > <a $sm h='7'/>
		p ? <a $sm h='0'/>
		p << <stream:error><undefined-condition $streams/><handled-count-too-high $sm h='7' send-count='0'/></stream:error>
		p << </stream:stream>
		p << eof`),
	managed("6 an acknowledgement without h", `
		p > <enable $sm/>
		p < <enabled $sm/>
		p > <a $sm/>
		p ? <a $sm h='0'/>
		p ends any
		or`),
	managed("5 resumption of what is not there", `
		p > <resume $sm previd='nothing' h='0'/>
		p < <failed $sm><item-not-found $stanzas/></failed> | <failed $sm><feature-not-implemented $stanzas/></failed> | <failed $sm><unexpected-request $stanzas/></failed>`),
	{name: "3 enable before anything is proved", with: withTLS, script: `
		open p two.example one.example
		p > <enable $sm/>
		p < <failed $sm><unexpected-request $stanzas/></failed>
		or
		p ends not-authorized|unsupported-stanza-type|policy-violation`},
	{name: "3 enable after dialback", do: func(f *federation) {
		f.script("auto two two.example\ndial p")
		if f.open("p", "two.example", "one.example").child("sm") == nil {
			return
		}
		f.script(`
			prove p two.example one.example
			p > <enable $sm/>
			p < <enabled $sm/>
			p > <iq from='$j' to='one.example' type='get' id='1'><ping $ping/></iq>
			two < <iq id='1'/>
			p > <r $sm/>
			p < <a $sm h='1'/>`)
	}},
	{name: "3 enable before the result of dialback", do: func(f *federation) {
		f.script("auto two two.example silent\ndial p")
		if f.open("p", "two.example", "one.example").child("sm") == nil {
			return
		}
		f.script(`
			p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
			p > <enable $sm/>
			p < <failed $sm><unexpected-request $stanzas/></failed>
			or
			p ends not-authorized|unsupported-stanza-type|policy-violation`)
	}},
	{name: "4 with bidi both directions are counted", with: withTLS, do: func(f *federation) {
		f.script("login ro 1")
		f.starttls("p", "two.example", "two.example", "one.example")
		f.without("p > <bidi $bidi/><auth $sasl mechanism='EXTERNAL'>=</auth>")
		p := f.client("p")
		p.take()
		if f.open("p", "two.example", "one.example").child("sm") == nil {
			return
		}
		f.script(`
			p > <enable $sm/>
			p < <enabled $sm/>
			acks p
			ro > <message to='$j' id='1'/>
			p < <message id='1'/>
			p > <message from='$j' to='$ro' id='2'/><r $sm/>
			ro < <message id='2'/>
			p < <a $sm h='1'/>
			pass 10m
			p > <a $sm h='1'/>`)
	}},
	manages("4 acknowledgements are asked for", func(f *federation, q *client) {
		q.take()
		<-time.After(time.Minute - time.Second)
		synctest.Wait()
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.asked == 0 {
			f.fail("nobody has asked for an acknowledgement")
		}
	}),
	manages("4 what is acknowledged stays with the peer", func(f *federation, q *client) {
		f.script("q > <a $sm h='1'/>\nacks q\nro > <message to='$j' id='2'><body>2</body></message>\nq < <message id='2'/>\ncut q\npass 10m")
	}),
	manages("4 what is not acknowledged is returned, or sent again", func(f *federation, q *client) {
		f.script("auto two two.example")
		q.take()
		q.close()
		var returned, again int
		for range 10 {
			<-time.After(time.Minute)
			for _, e := range f.client("ro").take() {
				if e.attr("type") == "error" && e.attr("id") == "1" {
					returned++
				}
			}
			for _, e := range f.client("two").take() {
				if e.attr("id") == "1" {
					again++
				}
			}
		}
		q.take()
		if returned+again != 1 {
			f.fail("returned %d times, sent %d times again, want one of both", returned, again)
		}
	}),
	manages("4 nothing is acknowledged, for long", func(f *federation, q *client) {
		var returned int
		for range 10 {
			<-time.After(time.Minute)
			for _, e := range f.client("ro").take() {
				if e.attr("type") == "error" && e.attr("id") == "1" {
					returned++
				}
			}
		}
		if got := q.take(); returned != 1 || len(got) == 0 || got[len(got)-1].raw != eof {
			f.fail("returned %d times, and %s; want it once, and the end of the stream", returned, raw(got))
		}
	}),
	manages("4 requests of the peer are answered", func(f *federation, q *client) {
		f.script("q > <a $sm h='1'/>\nq > <r $sm/>\nq < <a $sm h='0'/>")
	}),
	manages("6 more acknowledged than sent", func(f *federation, q *client) {
		q.take()
		f.script(`
			q > <a $sm h='9'/>
			q ? <a $sm h='0'/>
			q << <stream:error><undefined-condition $streams/><handled-count-too-high $sm h='9'/></stream:error>
			q << </stream:stream>
			q << eof
			ro ? <message type='error' id='1'/>`)
	}),
	{name: "3 enable is refused", do: func(f *federation) {
		f.script(`
			login ro 1
			serve q two.example
			ro > <message to='$j' id='1'><body>1</body></message>
			q < <stream:stream/>
			greet q $dialback` + smFeature + `
			q < <db:result/>`)
		q := f.client("q")
		q.send("<db:result from='two.example' to='one.example' type='valid'/>")
		synctest.Wait()
		if q.enabling() {
			q.send("<failed xmlns='" + nsSM + "'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
		}
		q.take()
		f.script("ro > <message to='$j' id='2'/>\nq < <message id='2'/>")
	}},
}

// enabling reports whether q was asked for stream management.
func (c *client) enabling() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.got {
		if e.name.Space == nsSM && e.name.Local == "enable" {
			return true
		}
	}
	return false
}

func TestXEP0198BetweenServers(t *testing.T) { runFederation(t, managedRows) }
