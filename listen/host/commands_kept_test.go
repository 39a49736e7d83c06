package host_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestLastCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock starts at midnight of 2000-01-01, UTC
		r := newRig(t)
		romeo := []any{"user", "romeo", "host", "a.test"}
		r.want("map[status:NOT FOUND timestamp:2000-01-01T00:00:00Z]", "get_last", romeo...)
		r.done("set_last", append(romeo, "timestamp", 1500045311, "status", "GoSleeping")...)
		r.want("map[status:GoSleeping timestamp:2017-07-14T15:15:11Z]", "get_last", romeo...)
		r.done("set_last", append(romeo, "timestamp", 0, "status", strings.Repeat("é", 600))...)
		r.want("map[status:"+strings.Repeat("é", 512)+" timestamp:1970-01-01T00:00:00Z]", "get_last", romeo...)
		r.bind("romeo@a.test/x", "")
		r.want("map[status:ONLINE timestamp:2000-01-01T00:00:00Z]", "get_last", romeo...)
		for _, at := range []int64{-1, 253402300800} {
			r.fails(command.BadArgument, "timestamp", "set_last", append(romeo, "timestamp", at, "status", "")...)
		}
	})
}

func TestOfflineCount(t *testing.T) {
	r := newRig(t)
	r.want("0", "get_offline_count", "user", "romeo", "host", "a.test")
	for range 3 {
		r.done("send_message", "type", "chat", "from", "juliet@a.test", "to", "romeo@a.test", "subject", "", "body", "art thou not Romeo?")
	}
	r.want("3", "get_offline_count", "user", "romeo", "host", "a.test")
	r.want("3", "get_offline_count", "user", "romeo", "server", "a.test")
	r.bind("romeo@a.test/x", "<presence/>")
	r.want("0", "get_offline_count", "user", "romeo", "host", "a.test")
}

func TestPrivateCommands(t *testing.T) {
	r := newRig(t)
	romeo := []any{"user", "romeo", "host", "a.test"}
	get := func(element, ns string) []any { return append(append([]any{}, romeo...), "element", element, "ns", ns) }
	set := func(element string) []any { return append(append([]any{}, romeo...), "element", element) }
	const notes = "<storage xmlns='storage:rosternotes'><note jid='a&amp;b'>x</note> y</storage>"
	r.want("<query xmlns='jabber:iq:private'><storage xmlns='storage:rosternotes'/></query>", "private_get", get("storage", "storage:rosternotes")...)
	r.done("private_set", set(" \n"+notes+"\n")...)
	r.want("<query xmlns='jabber:iq:private'>"+notes+"</query>", "private_get", get("storage", "storage:rosternotes")...)
	r.want("<query xmlns='jabber:iq:private'><storage xmlns='a&amp;&apos;'/></query>", "private_get", get("storage", "a&'")...)
	r.done("private_set", set("<storage xmlns='storage:rosternotes'/>")...)
	r.want("<query xmlns='jabber:iq:private'><storage xmlns='storage:rosternotes'/></query>", "private_get", get("storage", "storage:rosternotes")...)

	for _, name := range []string{"", "a b='c'", "a/><b", "a/", "1", "a:b", "/a", "!--"} {
		r.fails(command.BadArgument, "element", "private_get", get(name, "x")...)
	}
	r.fails(command.BadArgument, "namespace", "private_get", get("x", "")...)
	for _, xml := range []string{
		"", "text", "<a", "<a xmlns='b'/><c xmlns='b'/>", "<a xmlns='b'/></query><c/>", "<?xml version='1.0'?><a xmlns='b'/>", "<!-- --><a xmlns='b'/>",
		"<a xmlns='b'>\x01</a>", "<x:a/>", "<!DOCTYPE a><a xmlns='b'/>", "<a xmlns='b'>" + strings.Repeat("x", 256<<10) + "</a>",
	} {
		r.fails(command.BadArgument, "element", "private_set", set(xml)...)
	}
	r.fails(command.BadArgument, "namespace", "private_set", set("<a/>")...)

	o := private.Defaults()
	o.MaxBytes = 50
	r.h.Private.Configure(stanza.PerHost[*private.Options]{Value: &o})
	r.fails(command.Conflict, "limited", "private_set", set(notes)...)
}

func TestVCardCommands(t *testing.T) {
	r := newRig(t)
	field := func(name string, more ...any) []any {
		return append([]any{"user", "romeo", "host", "a.test", "name", name}, more...)
	}
	r.fails(command.NotFound, "the vCard of romeo@a.test has no NICKNAME", "get_vcard", field("NICKNAME")...)
	r.done("set_vcard", field("NICKNAME", "content", "Romeo & <co>")...)
	r.want("Romeo & <co>", "get_vcard", field("NICKNAME")...)

	// What the client has set stays, but for the field.
	s := r.bind("romeo@a.test/x", "")
	r.route("romeo@a.test/x", "<iq type='set' id='1'><vCard xmlns='vcard-temp'><FN>R</FN><N><FAMILY>Montague</FAMILY></N>"+
		"<NICKNAME>one</NICKNAME><NICKNAME>two</NICKNAME><X xmlns='other' a='b'>c</X></vCard></iq>")
	r.done("set_vcard", field("NICKNAME", "content", "three")...)
	r.route("romeo@a.test/x", "<iq type='get' id='2'><vCard xmlns='vcard-temp'/></iq>")
	r.wantLast(s, "<iq from='romeo@a.test' to='romeo@a.test/x' type='result' id='2'><vCard xmlns='vcard-temp'><FN>R</FN><N><FAMILY>Montague</FAMILY></N>"+
		"<X xmlns='other' a='b'>c</X><NICKNAME>three</NICKNAME></vCard></iq>")
	r.want("R", "get_vcard", field("FN")...)
	r.fails(command.NotFound, "has no X", "get_vcard", field("X")...) // which is of another namespace
	r.done("set_vcard", field("FN", "content", "")...)
	r.want("", "get_vcard", field("FN")...)

	for _, name := range []string{"", "1", "-", "N FAMILY", "FN/", "F:N", "é", "FN><x"} {
		r.fails(command.BadArgument, "name", "get_vcard", field(name)...)
		r.fails(command.BadArgument, "name", "set_vcard", field(name, "content", "x")...)
	}
	o := vcard.Defaults()
	o.MaxBytes = 100
	r.h.VCard.Configure(stanza.PerHost[*vcard.Options]{Value: &o})
	r.fails(command.BadArgument, "limited to 100 bytes", "set_vcard", field("NOTE", "content", "too much")...)
}
