package main

import (
	"encoding/xml"

	"mellium.im/xmlstream"
	"mellium.im/xmpp/disco/info"
	"mellium.im/xmpp/stanza"
)

// message is a message with a body.
type message struct {
	stanza.Message
	Body string `xml:"body,omitempty"`
}

// request is an IQ with what it asks for.
type request struct {
	stanza.IQ
	Payload struct{ XMLName xml.Name } `xml:",any"`
}

// handle answers one stanza. It runs within the session's Serve, so it writes to w and
// never to the session itself. An error ends the connection, so what cannot be read is
// passed over.
func handle(w xmlstream.TokenReadEncoder, start *xml.StartElement) error {
	d := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), w))
	switch start.Name.Local {
	case "message":
		var m message
		if d.Decode(&m) == nil {
			return echo(w, m)
		}
	case "iq":
		var iq request
		if d.Decode(&iq) == nil {
			return answer(w, iq)
		}
	case "presence":
		var p stanza.Presence
		if d.Decode(&p) == nil && p.Type == stanza.SubscribePresence {
			return send(w, stanza.Presence{Type: stanza.SubscribedPresence, To: p.From, From: p.To}.Wrap(nil))
		}
	}
	return nil
}

// echo says back what somebody says. Errors are not answered, and neither is what has
// no text: two bots would never stop.
func echo(w xmlstream.Encoder, m message) error {
	if m.Body == "" || m.Type != stanza.ChatMessage && m.Type != stanza.NormalMessage && m.Type != "" {
		return nil
	}
	m.To, m.From = m.From, m.To
	m.XMLName = xml.Name{} // the session knows the namespace of its stream
	return w.Encode(m)
}

// answer answers a request: what the bot is, whether it is there, or that it does not
// know of such things.
func answer(w xmlstream.TokenWriter, iq request) error {
	if iq.Type != stanza.GetIQ && iq.Type != stanza.SetIQ {
		return nil
	}
	reply := stanza.IQ{ID: iq.ID, To: iq.From, From: iq.To, Type: stanza.ResultIQ}
	switch iq.Payload.XMLName {
	case xml.Name{Space: "http://jabber.org/protocol/disco#info", Local: "query"}:
		bot := info.Identity{Category: "client", Type: "bot", Name: "Echo"}
		query := xml.StartElement{Name: iq.Payload.XMLName}
		return send(w, reply.Wrap(xmlstream.Wrap(bot.TokenReader(), query)))
	case xml.Name{Space: "urn:xmpp:ping", Local: "ping"}:
		return send(w, reply.Wrap(nil))
	}
	reply.Type = stanza.ErrorIQ
	return send(w, reply.Wrap(stanza.Error{Type: stanza.Cancel, Condition: stanza.ServiceUnavailable}.TokenReader()))
}

func send(w xmlstream.TokenWriter, r xml.TokenReader) error {
	_, err := xmlstream.Copy(w, r)
	return err
}
