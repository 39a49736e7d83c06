// Package ctl is the command line's side of the commands: ejabberd_ctl, a request handler
// of package httpd and of any other server of net/http. It runs what administrators type,
// with no other proof of who they are than that they can open its unix socket; whoever
// comes another way is refused.
//
// A request is POST with a JSON array of words, such as ["kick_user","ana","one.test"].
// The answer is 200 with text for people and scripts, and in the header status-code the
// exit status of the command line: StatusOK, StatusError or StatusUsage.
//
// The words after the name of a command are its arguments, in the order in which they are
// declared. A list is one word, with commas: a,b. A tuple is one word, with colons: a:b;
// further colons belong to its last part. Either can be written as JSON, too, which begins
// with [ or {. The answer has a line for each value of a list, with tabs between the parts
// of a tuple.
package ctl
