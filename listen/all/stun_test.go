package all_test

import (
	"encoding/xml"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/stun"
	"github.com/pion/turn/v2"
)

// binding sends a Binding request and wants the address of conn in the answer.
func binding(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	request := pion.MustBuild(pion.TransactionID, pion.BindingRequest)
	if _, err := conn.Write(request.Raw); err != nil {
		t.Fatal(err)
	}
	answer := &pion.Message{Raw: make([]byte, 0, 1500)}
	if _, err := answer.ReadFrom(conn); err != nil {
		t.Fatalf("%s: %v", conn.RemoteAddr(), err)
	}
	var got pion.XORMappedAddress
	if err := got.GetFrom(answer); err != nil || answer.TransactionID != request.TransactionID || answer.Type != pion.BindingSuccess {
		t.Fatalf("%s: got %v, %v", conn.RemoteAddr(), answer, err)
	}
	if want := conn.LocalAddr().String(); got.String() != want {
		t.Errorf("%s: got the address %s, want %s", conn.RemoteAddr(), got, want)
	}
}

// relay asks for a relay, and returns where it was.
func relay(t *testing.T, n *network, server, user, password string) (netip.AddrPort, error) {
	t.Helper()
	conn := n.packet(t, server).Dial()
	defer conn.Close()
	c, err := turn.NewClient(&turn.ClientConfig{
		Conn: conn, STUNServerAddr: server, TURNServerAddr: server, Username: user, Password: password, Realm: "localhost",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	r, err := c.Allocate()
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer r.Close()
	return netip.ParseAddrPort(r.LocalAddr().String())
}

// services asks for the servers that a user may use (XEP-0215).
type services struct {
	List []struct {
		Host      string `xml:"host,attr"`
		Port      int    `xml:"port,attr"`
		Type      string `xml:"type,attr"`
		Transport string `xml:"transport,attr"`
		Username  string `xml:"username,attr"`
		Password  string `xml:"password,attr"`
	} `xml:"services>service"`
}

func (p *program) services(address string) services {
	p.Helper()
	c := p.client(address, "ana")
	defer c.Close()
	c.Send("<iq type='get' id='s' to='localhost'><services xmlns='urn:xmpp:extdisco:2'/></iq>")
	var s services
	if err := xml.Unmarshal([]byte(c.ExpectMatch(`<iq [^>]*id='s'.*?</iq>`)[0]), &s); err != nil {
		p.Fatal(err)
	}
	return s
}

func (s services) String() string {
	var b strings.Builder
	for _, o := range s.List {
		fmt.Fprintf(&b, "%s %s %s:%d\n", o.Type, o.Transport, o.Host, o.Port)
	}
	return b.String()
}

// Clients hear of the listeners that run, and get credentials that open relays,
// even where passwords do not.
func TestServicesOfListeners(t *testing.T) {
	const config = `
hosts: [localhost]
certfiles: [harbour.pem]
auth_password_format: scram
modules: {mod_stun_disco: {}}
listen:
  - {port: 5223, ip: 192.0.2.1, module: ejabberd_c2s, tls: true}
  - {port: 5349, module: ejabberd_stun, tls: true, turn_ipv4_address: 10.20.30.1}
  - {port: 3478, ip: 192.0.2.1, module: ejabberd_stun}
  - {port: 3478, ip: 192.0.2.1, transport: udp, module: ejabberd_stun, turn_ipv4_address: 10.20.30.1}
`
	n, dir := newNetwork(), t.TempDir()
	file := dir + "/ejabberd.yml"
	writeCertificate(t, dir+"/harbour.pem", "localhost")
	p := run(t, n)
	p.apply(file, config)
	const c2s, udp = "192.0.2.1:5223", "192.0.2.1:3478"

	var got services
	want := "stun udp 192.0.2.1:3478\nturn udp 192.0.2.1:3478\nstun tcp 192.0.2.1:3478\nstuns tcp localhost:5349\nturns tcp localhost:5349\n"
	for range 100 { // Apply does not wait for what the listeners begin with
		if got = p.services(c2s); got.String() == want {
			break
		}
	}
	if got.String() != want {
		t.Fatalf("got\n%swant\n%s", got, want)
	}
	for i, restricted := range []bool{false, true, false, false, true} {
		if o := got.List[i]; (o.Username != "") != restricted || (o.Password != "") != restricted {
			t.Errorf("%s %s: got credentials %q, want some: %t", o.Type, o.Host, o.Username, restricted)
		}
	}
	o := got.List[1]
	if at, err := relay(t, n, udp, o.Username, o.Password); err != nil || at.Addr() != relayIP {
		t.Errorf("got a relay at %v, error %v", at, err)
	}
	if _, err := relay(t, n, udp, o.Username, o.Password+"A"); err == nil {
		t.Error("a wrong password opens a relay")
	}

	// A reload changes what is offered: what has gone, though a session is left, and
	// what has other options.
	left := n.socket(t, "192.0.2.1:3478").Dial()
	defer left.Close()
	without := regexp.MustCompile(`(?m)^.*(tls: true, turn|192.0.2.1, module: ejabberd_stun).*\n`).ReplaceAllString(config, "")
	p.apply(file, strings.Replace(without, "turn_ipv4_address: 10.20.30.1", "server_name: quay", 1))
	want = "stun udp 192.0.2.1:3478\n"
	for range 100 { // Apply does not wait until the others have gone
		if got = p.services(c2s); got.String() == want {
			return
		}
	}
	t.Errorf("after a reload: got\n%swant\n%s", got, want)
}
