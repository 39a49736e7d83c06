package conformance

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/s2s"
)

// using is a server with certificates that uses STARTTLS so.
func using(how s2s.StartTLS) func(*federation) {
	return func(f *federation) {
		f.site("one.example").secured().settings.UseStartTLS = stanza.PerHost[s2s.StartTLS]{Value: how}
	}
}

var (
	withRequired = using(s2s.TLSRequired)
	withTrusted  = using(s2s.TLSRequiredTrusted)
)

var serverTLSRows = []frow{
	{name: "5.4.1 the feature", with: withTLS, script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features><starttls $tls><required $tls no=''/></starttls><mechanisms $sasl no=''/></stream:features>`},
	{name: "5.3.1 it is required", with: withRequired, script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features><starttls $tls><required $tls/></starttls><mechanisms $sasl no=''/></stream:features>`},
	{name: "5.3.1 it is off", with: using(s2s.TLSOff), script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features><starttls $tls no=''/></stream:features>`},
	{name: "5.4.2.1 starttls without the feature", script: `
		open p two.example one.example
		p > <starttls $tls/>
		p << <failure $tls/>
		p << </stream:stream>
		p << eof`},
	{name: "5.4.3.3 a new stream after TLS", with: withTLS, script: `
		open p two.example one.example
		p > <starttls $tls/>
		p < <proceed $tls/>
		tls p two.example
		p > <?xml version='1.0'?><stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream from='one.example' to='two.example' id='*' version='1.0'/>
		p < <stream:features><starttls $tls no=''/><mechanisms $sasl><mechanism $sasl>EXTERNAL</mechanism></mechanisms></stream:features>`},
	{name: "5.4.3.3, 4.7.3 the new stream has another id", with: withTLS, do: func(f *federation) {
		f.open("p", "two.example", "one.example")
		before := f.vars["sid_p"]
		f.script(`
			p > <starttls $tls/>
			p < <proceed $tls/>
			tls p two.example`)
		f.open("p", "two.example", "one.example")
		if f.vars["sid_p"] == before {
			f.fail("both streams have the id %s", before)
		}
	}},
	{name: "5.4.3.2 no TLS follows", with: withTLS, script: `
		open p two.example one.example
		p > <starttls $tls/>
		p < <proceed $tls/>
		plain p
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < eof`},
	{name: "5.4.2.1 starttls with TLS on", with: withTLS, script: `
		starttls p two.example two.example one.example
		p > <starttls $tls/>
		p << <failure $tls/>
		p << </stream:stream>
		p << eof
		or
		p ends any`},
	{name: "5.3.4 what is sent in the clear after starttls counts as nothing", with: withTLS, script: `
		auto two two.example
		login ro 1
		open p two.example one.example
		p > <starttls $tls/><db:result from='two.example' to='one.example'>c0ffee</db:result><message from='$j' to='$ro'/>
		p < <proceed $tls/>
		p ? eof
		or
		p ends any
		tls p two.example
		p < no TLS
		or
		p ? eof`},
	{name: "5.3.4 nor does it count within TLS", with: withTLS, do: func(f *federation) {
		f.script(`
			auto two two.example
			open p two.example one.example
			p > <starttls $tls/><stream:stream $ns from='two.example' to='one.example' version='1.0'><db:result from='two.example' to='one.example'>c0ffee</db:result>
			p < <proceed $tls/>
			or
			p ends any
			or
			p < <proceed $tls/>
			p < eof`)
		f.tls("p", "two.example")
		for _, e := range f.client("p").take() {
			if e.name.Local != "no TLS" && e.raw != eof {
				f.fail("got %s, want nothing", e.raw)
			}
		}
	}},
	{name: "5.3.1 dialback without TLS where it is required", with: withRequired, script: `
		auto two two.example
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='error'><error type='*'><policy-violation $stanzas/></error></db:result>
		or
		p < <db:result from='one.example' to='two.example' type='error'><error type='*'><policy-violation $stanzas/></error></db:result>
		p ends any
		or
		p ends policy-violation|not-authorized`},
	{name: "5.3.1 stanzas without TLS where it is required", with: withRequired, script: `
		open p two.example one.example
		p > <message from='$j' to='$r'/>
		p ends policy-violation|not-authorized`},
	{name: "6.5.4 EXTERNAL without TLS", with: withTLS, script: `
		open p two.example one.example
		p > <auth $sasl mechanism='EXTERNAL'>dHdvLmV4YW1wbGU=</auth>
		p < <failure $sasl><encryption-required $sasl/></failure> | <failure $sasl><invalid-mechanism $sasl/></failure> | <failure $sasl><not-authorized $sasl/></failure>
		or
		p < <failure $sasl/>
		p ends any
		or
		p ends policy-violation|not-authorized|unsupported-stanza-type`},
	{name: "4.3.1 TLS is not needed where it is optional", with: withTLS, script: `
		login ro 1
		link p two.example
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
	{name: "13.7.2 dialback within TLS, with a certificate that proves nothing", with: withRequired, script: `
		login ro 1
		auto two two.example valid two.example
		starttls p unknown two.example one.example
		prove p two.example one.example
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
	{name: "13.7.2 dialback within TLS, without a certificate", with: withTLS, script: `
		login ro 1
		auto two two.example
		starttls p none two.example one.example
		prove p two.example one.example
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
	{name: "13.7.2 certificates alone prove: no certificate", with: withTrusted, do: func(f *federation) { f.refused("none") }},
	{name: "13.7.2 certificates alone prove: one that proves nothing", with: withTrusted, do: func(f *federation) { f.refused("unknown") }},
	{name: "13.7.2 certificates alone prove: one that does", with: withTrusted, script: `
		login ro 1
		external p two.example two.example one.example
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
	{name: "5.4.3.1 the certificate of the domain", with: func(f *federation) { f.site("other.example", "one.example").secured() }, script: `
		external p two.example two.example one.example`},
	{name: "6.4.6 a new stream after SASL", with: withTLS, script: `
		starttls p two.example two.example one.example
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p < <success $sasl/>
		p > <?xml version='1.0'?><stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream from='one.example' to='two.example' id='*' version='1.0'/>
		p < <stream:features><starttls $tls no=''/><mechanisms $sasl no=''/></stream:features>`},
	{name: "6.4.6 stanzas before the new stream", with: withTLS, script: `
		login ro 1
		starttls p two.example two.example one.example
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p < <success $sasl/>
		p > <message from='$j' to='$ro'/>
		p ? <stream:stream/>
		p ends any`},
	{name: "6.3.5 SASL once more", with: withTLS, script: `
		external p two.example two.example one.example
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p ends any
		or
		p < <failure $sasl/>`},
	{name: "4.3.3, 8.1.2.2 a new stream in another name proves nothing", with: withTLS, script: `
		login ro 1
		starttls p two.example two.example one.example
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p < <success $sasl/>
		p > <stream:stream $ns from='three.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features/>
		or
		p ? <stream:stream/>
		p ends any
		p > <message from='$m' to='$ro' id='forged'/>
		p ends invalid-from|not-authorized
		or`},
	{name: "4.3.3 the new stream to another domain of the server", with: func(f *federation) { f.site("one.example", "other.example").secured() }, script: `
		starttls p two.example two.example one.example
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p < <success $sasl/>
		p > <stream:stream $ns from='two.example' to='other.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features/>
		or
		p < <stream:stream/>
		p ends any`},
}

// refused connects with a certificate that does not let p in, dialback or not.
func (f *federation) refused(cert string) {
	f.script("auto two two.example\nlogin ro 1\nopen p two.example one.example\np > <starttls $tls/>\np < <proceed $tls/>")
	f.tls("p", cert)
	p := f.client("p")
	p.take()
	p.send(header("two.example", "one.example"))
	p.take()
	p.send("<db:result from='two.example' to='one.example'>c0ffee</db:result>")
	for _, e := range p.take() {
		if e.name.Local == "result" && e.attr("type") == "valid" {
			f.fail("got %s, want no valid result", e.raw)
		}
	}
	p.send("<message from='juliet@two.example' to='romeo@one.example/orchard' id='forged'/>")
	p.take()
	f.nothing("ro")
}

// nothing fails if a client has got anything.
func (f *federation) nothing(name string) {
	if got := f.client(name).take(); got != nil {
		f.fail("%s got %s, want nothing", name, raw(got))
	}
}

func TestServerTLS(t *testing.T) { runFederation(t, serverTLSRows) }
