package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"time"
)

// goplsAnswers is how long gopls may take: the kernel itself waits 8 s.
const goplsAnswers = 30 * time.Second

// goplsOptions make gopls do what completion and help need, and nothing else. Left to itself it
// checks and analyses all packages of the repository, and again when a cell changes.
var goplsOptions = map[string]any{
	"diagnosticsTrigger":      "Save",
	"expandWorkspaceToModule": false,
}

// document is a file as the kernel has it.
type document struct {
	LanguageID string `json:"languageId"`
	Version    int    `json:"version"`
	Text       string `json:"text"`
	URI        string `json:"uri"`
}

// goplsKernel answers one kernel, which takes it for a gopls of its own. It knows what the kernel
// has said, and so can say it again to another gopls when the first has ended.
type goplsKernel struct {
	shared    *sharedGopls
	kernel    *lspConn
	folder    string // the URI of its workspace
	documents map[string]document
	gopls     *lspConn        // nil while there is none
	answers   chan lspMessage // from gopls; closed when it has ended
}

// serve answers until the kernel ends.
func (k *goplsKernel) serve() {
	defer k.disconnect()
	for {
		k.kernel.SetReadDeadline(time.Now().Add(k.shared.program.idle))
		if _, err := k.kernel.in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
			k.disconnect()
		}
		k.kernel.SetReadDeadline(time.Time{})
		m, err := k.kernel.read()
		if err != nil {
			return
		}
		switch {
		case m.Method == "initialize":
			var p struct{ WorkspaceFolders []struct{ URI string } }
			if json.Unmarshal(m.Params, &p) == nil && len(p.WorkspaceFolders) > 0 {
				k.folder = p.WorkspaceFolders[0].URI
			}
			// It has no use for what gopls could do, and gopls may not be needed yet.
			err = k.kernel.write(lspMessage{ID: m.ID, Result: json.RawMessage(`{"capabilities":{}}`)})
		case m.ID == nil:
			k.notified(m)
		case m.Method != "":
			err = k.kernel.write(k.ask(m))
		}
		if err != nil {
			return
		}
	}
}

// notified notes how the kernel's files have changed, and tells gopls.
func (k *goplsKernel) notified(m lspMessage) {
	var p struct {
		TextDocument   document
		ContentChanges []struct{ Text string }
	}
	if json.Unmarshal(m.Params, &p) != nil {
		return
	}
	uri, change := p.TextDocument.URI, 2
	switch m.Method {
	case "textDocument/didOpen":
		k.documents[uri] = p.TextDocument
	case "textDocument/didChange":
		d := k.documents[uri]
		d.Version = p.TextDocument.Version
		for _, c := range p.ContentChanges { // always the whole file
			d.Text = c.Text
		}
		k.documents[uri] = d
	case "textDocument/didClose":
		delete(k.documents, uri)
		change = 3
	default:
		return
	}
	if !strings.HasPrefix(uri, k.folder+"/") {
		// It opens all files of the repository as well, each of which gopls would then check. Here
		// they are as on the disk.
		delete(k.documents, uri)
		m.Method = "workspace/didChangeWatchedFiles"
		m.Params, _ = json.Marshal(map[string]any{"changes": []any{map[string]any{"uri": uri, "type": change}}})
	}
	if k.gopls != nil && k.gopls.write(m) != nil {
		k.disconnect()
	}
}

// ask returns gopls' answer, which is an error if a second gopls does not answer either.
func (k *goplsKernel) ask(m lspMessage) lspMessage {
	err := errors.New("gopls does not answer")
	for range 2 {
		if k.gopls == nil {
			if err = k.connect(); err != nil {
				continue
			}
		}
		var answer lspMessage
		if answer, err = k.answer(m); err == nil {
			return answer
		}
		k.disconnect()
	}
	text, _ := json.Marshal(map[string]any{"code": -32603, "message": err.Error()})
	return lspMessage{ID: m.ID, Error: text}
}

// answer asks gopls.
func (k *goplsKernel) answer(m lspMessage) (lspMessage, error) {
	if err := k.gopls.write(m); err != nil {
		return lspMessage{}, err
	}
	timeout := time.NewTimer(goplsAnswers)
	defer timeout.Stop()
	for {
		select {
		case answer, ok := <-k.answers:
			if !ok {
				return answer, errors.New("gopls has ended")
			}
			if bytes.Equal(answer.ID, m.ID) {
				return answer, nil
			}
		case <-timeout.C:
			return lspMessage{}, errors.New("gopls took too long")
		}
	}
}

// connect tells a gopls, a new one if need be, all that the kernel has said.
func (k *goplsKernel) connect() error {
	conn, err := k.shared.dial()
	if err != nil {
		return err
	}
	k.gopls, k.answers = newLSPConn(conn), make(chan lspMessage, 1)
	go receive(k.gopls, k.answers)
	params, err := json.Marshal(map[string]any{
		"processId": nil, "rootUri": k.folder, "capabilities": map[string]any{}, "initializationOptions": goplsOptions,
		"workspaceFolders": []any{map[string]any{"uri": k.folder, "name": "cells"}},
	})
	if err != nil {
		return err
	}
	if _, err = k.answer(lspMessage{ID: json.RawMessage(`"start"`), Method: "initialize", Params: params}); err == nil {
		err = k.gopls.send(nil, "initialized", map[string]any{})
	}
	for _, d := range k.documents {
		if err == nil {
			err = k.gopls.send(nil, "textDocument/didOpen", map[string]any{"textDocument": d})
		}
	}
	if err != nil {
		k.disconnect()
	}
	return err
}

// receive passes the answers on. What gopls asks gets an empty answer, what it reports none.
func receive(gopls *lspConn, answers chan<- lspMessage) {
	defer close(answers)
	for {
		m, err := gopls.read()
		if err != nil {
			return
		}
		switch {
		case m.Method == "":
			answers <- m
		case m.ID != nil:
			if gopls.write(lspMessage{ID: m.ID, Result: json.RawMessage("null")}) != nil {
				return
			}
		}
	}
}

// disconnect leaves gopls, which forgets the kernel.
func (k *goplsKernel) disconnect() {
	if k.gopls == nil {
		return
	}
	k.shared.drop(net.Conn(k.gopls.Conn))
	for range k.answers { // until the receiver has ended
	}
	k.gopls = nil
}
