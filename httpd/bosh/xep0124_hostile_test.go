package bosh_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// xepDocument is a request body. $A stands for the attributes of a wrapper, its namespace
// included, $N for those without, $M for a message that must not be delivered.
type xepDocument struct{ name, text string }

// xepForbidden is what no request may have.
// See XEP-0124, section 6.
var xepForbidden = []xepDocument{
	{"a comment", "<body $A><!-- x -->$M</body>"},
	{"a comment in a payload", "<body $A><presence xmlns='jabber:client'><!-- x --></presence>$M</body>"},
	{"a processing instruction", "<body $A><?php x ?>$M</body>"},
	{"a processing instruction in a payload", "<body $A><presence xmlns='jabber:client'><?x?></presence>$M</body>"},
	{"an XML declaration within", "<body $A><?xml version='1.0'?>$M</body>"},
	{"an internal DTD", "<!DOCTYPE body [<!ENTITY x 'y'>]><body $A>$M</body>"},
	{"an external DTD", "<!DOCTYPE body SYSTEM 'file:///etc/passwd'><body $A>$M</body>"},
	{"a DTD within", "<body $A><!DOCTYPE x>$M</body>"},
	{"an external entity", "<!DOCTYPE body [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><body $A>$M&x;</body>"},
	{"entities of entities", "<!DOCTYPE body [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]><body $A>$M&c;</body>"},
	{"an entity of HTML", "<body $A><presence xmlns='jabber:client'><status>&nbsp;</status></presence>$M</body>"},
	{"an entity in an attribute", "<body $A><presence xmlns='jabber:client' id='&x;'/>$M</body>"},
	{"an element that is not closed", "<body $A>$M<message xmlns='jabber:client'></body>"},
	{"an element that was not opened", "<body $A></message>$M</body>"},
	{"elements that overlap", "<body $A>$M<a><b></a></b></body>"},
	{"half a payload", "<body $A>$M<message xmlns='jabber:client'><bo"},
	{"an open wrapper", "<body $A>$M"},
	{"an open stream", "<body $A xmlns:stream='http://etherx.jabber.org/streams'><stream:stream>$M</body>"},
	{"two wrappers", "<body $A>$M</body><body $A>$M</body>"},
	{"text before the wrapper", "x<body $A>$M</body>"},
	{"text after the wrapper", "<body $A>$M</body>x"},
	{"another root", "<html $A>$M</html>"},
	{"a root in capitals", "<BODY $A>$M</BODY>"},
	{"another namespace", "<body $N xmlns='jabber:client'>$M</body>"},
	{"a longer namespace", "<body $N xmlns='http://jabber.org/protocol/httpbind/'>$M</body>"},
	{"no namespace", "<body $N>$M</body>"},
	{"an attribute twice", "<body $A rid='1'>$M</body>"},
	{"an attribute without quotes", "<body $A x=1>$M</body>"},
	{"an attribute without a value", "<body $A x>$M</body>"},
	{"a < in an attribute", "<body $A x='<'>$M</body>"},
	{"attributes without space", "<body $A x='1'y='1'>$M</body>"},
	{"a prefix that is not declared", "<body $A><x:y/>$M</body>"},
	{"a prefix of an attribute that is not declared", "<body $A x:y='1'>$M</body>"},
	{"bytes that are no UTF-8", "<body $A><presence xmlns='jabber:client'><status>\xff\xfe</status></presence>$M</body>"},
	{"UTF-8 that is too long", "<body $A><presence xmlns='jabber:client'><status>\xc0\xaf</status></presence>$M</body>"},
	{"a NUL", "<body $A><presence xmlns='jabber:client'><status>\x00</status></presence>$M</body>"},
	{"a reference to a NUL", "<body $A><presence xmlns='jabber:client'><status>&#0;</status></presence>$M</body>"},
	{"a reference to a control character", "<body $A><presence xmlns='jabber:client'><status>&#x1;</status></presence>$M</body>"},
	{"a reference to half a character", "<body $A><presence xmlns='jabber:client'><status>&#xD800;</status></presence>$M</body>"},
	{"]]> in text", "<body $A><presence xmlns='jabber:client'><status>]]></status></presence>$M</body>"},
	{"nothing", ""},
	{"white space", " \r\n"},
	{"JSON", `{"rid": 1}`},
	{"a form", "rid=1&to=a"},
}

// xepHuge is what is too large for a server.
var xepHuge = []xepDocument{
	{"deep nesting", "<body $A>$M" + strings.Repeat("<a>", 20000) + strings.Repeat("</a>", 20000) + "</body>"},
	{"many attributes", "<body $A" + xepManyAttributes() + ">$M<a/></body></body>"},
	{"a huge payload", "<body $A>$M<presence xmlns='jabber:client'><status>" + strings.Repeat("x", 8<<20) + "</status></presence></body>"},
	{"a huge attribute", "<body $A x='" + strings.Repeat("x", 8<<20) + "'>$M</body>"},
	{"a huge name", "<body $A>$M<" + strings.Repeat("x", 8<<20) + "/></body>"},
	{"huge white space", "<body $A>" + strings.Repeat(" ", 8<<20) + "$M</body>"},
	{"many elements", "<body $A>$M<presence xmlns='jabber:client'>" + strings.Repeat("<a/>", 1<<20) + "</presence></body>"},
}

func xepManyAttributes() string {
	var b strings.Builder
	for i := range 20000 {
		b.WriteString(" a" + string(rune('a'+i%26)) + strings.Repeat("b", i%50) + "='1'")
	}
	return b.String()
}

// with fills a document in.
func (d xepDocument) with(attrs, payload string) string {
	return strings.NewReplacer("$A", attrs+" xmlns='"+xepNSBind+"'", "$N", attrs, "$M", payload).Replace(d.text)
}

// wantRefused wants an error that is the client's fault.
func (a *xepAnswer) wantRefused() {
	a.t.Helper()
	switch {
	case a.err != nil || a.status >= 500 || !a.isError():
		a.t.Errorf("got %.300v, want an error", a)
	case a.status != http.StatusOK:
		if a.status != 400 && a.status != 403 && a.status != 404 && a.status != 413 {
			a.t.Errorf("got %.300v, want status 400, 403 or 413", a)
		}
	case !slices.Contains([]string{"bad-request", "policy-violation", "remote-stream-error", "item-not-found", "improper-addressing"}, a.attr("condition")):
		a.t.Errorf("got %v, want bad-request", a)
	}
}

func TestXEP0124Hostile(t *testing.T) {
	var rows []xepRow
	for _, d := range slices.Concat(xepForbidden, xepHuge) {
		rows = append(rows, xepRow{"6 " + d.name + " in a first request", func(r *xepRig) {
			a := r.post("", d.with("to='"+r.domain+"' rid='1573741820' wait='60' hold='1' ver='1.6'", "")).answer()
			a.wantRefused()
			if a.has("sid") {
				r.t.Errorf("got %.300v, want no session", a)
			}
			r.create(nil)
		}}, xepRow{"6 " + d.name + " in a session", func(r *xepRig) {
			ana, bo := r.login("ana", nil), r.login("bo", nil)
			attrs := xepWrapper(xepAttrs{"sid": ana.sid, "rid": xepItoa(ana.rid + 1), "xmlns": ""}, "")
			attrs = strings.TrimSuffix(strings.TrimPrefix(attrs, "<body "), "/>")
			r.post("", d.with(strings.Replace(attrs, "xmlns=''", "", 1), xepMessage(bo.jid, "never"))).answer().wantRefused()
			r.settle()
			bo.send(nil, xepMessage(bo.jid, "1")).wantTexts("1")
		}})
	}
	for _, d := range xepAround {
		rows = append(rows, xepRow{"6 " + d.name, func(r *xepRig) {
			ana, bo := r.login("ana", nil), r.login("bo", nil)
			held := r.post("", d.with("sid='"+ana.sid+"' rid='"+xepItoa(ana.rid+1)+"'", xepMessage(bo.jid, "1")))
			if held.pending() {
				bo.wantMessages("1")
			} else {
				held.answer().wantRefused()
			}
		}})
	}
	xepTables(t, false, rows)
}

// xepAround is what XML lets stand outside the wrapper: a server may refuse it.
var xepAround = []xepDocument{
	{"a declaration of another encoding", "<?xml version='1.0' encoding='ISO-8859-1'?><body $A>$M</body>"},
	{"a declaration of another version", "<?xml version='1.1'?><body $A>$M</body>"},
	{"a byte order mark", "\ufeff<body $A>$M</body>"},
	{"a comment before the wrapper", "<!-- x --><body $A>$M</body>"},
	{"a comment after the wrapper", "<body $A>$M</body><!-- x -->"},
	{"a processing instruction before the wrapper", "<?php x ?><body $A>$M</body>"},
}

// What a request may have though not every client does.
// See XEP-0124, section 6.
func TestXEP0124Wellformed(t *testing.T) {
	var rows []xepRow
	for _, d := range []xepDocument{
		{"an XML declaration", "<?xml version='1.0'?><body $A>$M</body>"},
		{"an XML declaration with encoding", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<body $A>$M</body>"},
		{"white space around the wrapper", "\r\n <body $A>$M</body>\r\n\t"},
		{"white space within tags", "<body\r\n\t$A\n>$M</body\n>"},
		{"a prefix", "<b:body $N xmlns:b='http://jabber.org/protocol/httpbind'>$M</b:body>"},
		{"references in attributes", "<body $N xmlns='http&#58;//jabber.org/protocol/httpbind'>$M</body>"},
		{"a payload of CDATA", "<body $A><message xmlns='jabber:client' to='nobody@a.test'><body><![CDATA[<!-- & -->]]></body></message>$M</body>"},
		{"a payload without content", "<body $A><presence xmlns='jabber:client' type='unavailable'></presence>$M</body>"},
		{"attributes of another namespace", "<body $A xmlns:p='urn:p' p:rid='x' p:type='terminate'>$M</body>"},
	} {
		rows = append(rows, xepRow{"6 " + d.name, func(r *xepRig) {
			ana, bo := r.login("ana", nil), r.login("bo", nil)
			ana.rid++
			r.post("", d.with("sid='"+ana.sid+"' rid='"+xepItoa(ana.rid)+"'", xepMessage(bo.jid, "1")))
			r.settle()
			bo.wantMessages("1")
		}})
	}
	rows = append(rows, xepRow{"6 attributes in double quotes", func(r *xepRig) {
		a := r.post("", strings.ReplaceAll(r.creation(nil), "'", `"`)).answer()
		r.session(a)
	}}, xepRow{"6 text in the wrapper is no payload", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		a := ana.send(nil, "text"+xepMessage(ana.jid, "1")+"&lt;presence/>").answer()
		if a.err != nil || a.status >= 500 {
			r.t.Errorf("got %v, want an answer", a)
		}
		if a.isError() {
			a.wantError(http.StatusBadRequest, "bad-request")
		}
		bo.send(nil, xepMessage(bo.jid, "1")).wantTexts("1")
	}})
	xepTables(t, false, rows)
}
