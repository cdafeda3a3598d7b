// Package gonb edits the source of the GoNB kernel before it is built: the few lines that make the
// lab's kernel heed ■ while a cell compiles, report errors by the line of the cell, and wait no 12
// seconds for gopls.
package gonb

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// self is what determines the kernel, beside its own version and Go's.
//
//go:embed gonb.go
var self []byte

// hints is a file that package goexec of the kernel gets.
//
//go:embed hints.go.txt
var hints []byte

// Sum tells one state of the edits from another.
func Sum() string {
	sum := sha256.Sum256(append(self, hints...))
	return hex.EncodeToString(sum[:6])
}

// edits are what takes the place of what, in which file. It may occur more than once.
var edits = []struct{ file, old, new string }{
	// As published it waits 12 s, before the first look too, and is deaf to Run and Tab meanwhile.
	{"goexec/goplsclient/exec.go", "time.After(ConnectTimeout)", "time.After(50 * time.Millisecond)"},

	// An interrupt that comes while a cell compiles, or has just been started, counts.
	{"dispatcher/dispatcher.go", "\t\t\tmsg.Kernel().CallInterruptSubscribers()\n\t\t\treplyContent",
		"\t\t\tmsg.Kernel().Interrupted.Store(true)\n\t\t\tmsg.Kernel().CallInterruptSubscribers()\n\t\t\treplyContent"},
	{"goexec/execcode.go", "\tcmd := exec.Command(\"go\", args...)\n\tcmd.Dir = s.TempDir\n\tif s.CellIsWasm {",
		"\tcmd, over := untilInterrupt(msg, exec.Command(\"go\", args...))\n\tdefer over()\n\tcmd.Dir = s.TempDir\n\tif s.CellIsWasm {"},
	{"goexec/execcode.go", "\t\tklog.Errorf(\"Failed %q:\\n%s\\n\", cmd, output)\n",
		"\t\tklog.Errorf(\"Failed %q:\\n%s\\n\", cmd, output)\n\t\tif interrupted(msg) {\n\t\t\treturn errInterrupted\n\t\t}\n"},
	{"goexec/execcode.go", "\t// Execute compiled code.\n", "\tif interrupted(msg) {\n\t\treturn errInterrupted\n\t}\n\t// Execute compiled code.\n"},
	{"jpyexec/jpyexec.go", "\n\tif exec.stdinContent != nil {\n\t\texec.handleStaticInput()",
		"\tif exec.Msg.Kernel().Interrupted.Load() { // before there was anybody to tell\n\t\t_ = cmd.Process.Signal(os.Interrupt)\n\t}\n" +
			"\n\tif exec.stdinContent != nil {\n\t\texec.handleStaticInput()"},

	// What waits behind a cell that failed does not run, as in Jupyter's other kernels: after ■
	// while a cell compiles, Run All is over.
	{"dispatcher/dispatcher.go", "\t\"sync\"\n", "\t\"sync\"\n\t\"time\"\n"},
	{"dispatcher/dispatcher.go", "\tgoExec *goexec.State\n}", "\tgoExec *goexec.State\n\tcame   time.Time\n}\n\nvar failed time.Time // when a cell did, last"},
	{"dispatcher/dispatcher.go", "&shellMsgParams{msg: msg, goExec: goExec}", "&shellMsgParams{msg: msg, goExec: goExec, came: time.Now()}"},
	{"dispatcher/dispatcher.go", "\t\t\t\terr := handleBusyMessage(params.msg, params.goExec)\n",
		"\t\t\t\tif params.came.Before(failed) && params.msg.ComposedMsg().Header.MsgType == \"execute_request\" {\n" +
			"\t\t\t\t\tif err := abort(params.msg); err != nil {\n\t\t\t\t\t\tklog.Errorf(\"Failed to abort a cell: %+v\", err)\n\t\t\t\t\t}\n" +
			"\t\t\t\t\tcontinue\n\t\t\t\t}\n\t\t\t\terr := handleBusyMessage(params.msg, params.goExec)\n"},
	{"dispatcher/dispatcher.go", "\t\treplyContent[\"status\"] = \"error\"\n",
		"\t\treplyContent[\"status\"] = \"error\"\n\t\tif stop, ok := content[\"stop_on_error\"].(bool); stop || !ok {\n\t\t\tfailed = time.Now()\n\t\t}\n"},
	{"dispatcher/dispatcher.go", "// handleBusyMessage handles Shell",
		"// abort replies that a cell is not run.\nfunc abort(msg kernel.Message) error {\n" +
			"\tif err := kernel.PublishKernelStatus(msg, kernel.StatusBusy); err != nil {\n\t\treturn err\n\t}\n" +
			"\tif err := msg.Reply(\"execute_reply\", map[string]any{\"status\": \"aborted\"}); err != nil {\n\t\treturn err\n\t}\n" +
			"\treturn kernel.PublishKernelStatus(msg, kernel.StatusIdle)\n}\n\n// handleBusyMessage handles Shell"},

	// Errors of the compiler have the line of the cell, and neither temporary paths nor a second
	// exit status.
	{"goexec/errorpublish.go", "{{end}}<span class=\"gonb-err-location\">{{.Location}}</span></span>",
		"{{else}}<span class=\"gonb-err-location\">{{.Location}}</span>{{end}}</span>"},
	{"goexec/errorpublish.go", "{{.Message}}", "{{html .Message}}"},
	{"goexec/parser.go", "errors.Wrapf(err, \"parsing go files in TempDir %q\", s.TempDir)", "notCompiled(s, err)"},
	{"goexec/gonberror.go", "\tlines := strings.Split(errorMsg, \"\\n\")\n", "\tlines := readable(errorMsg, codeLines)\n"},
	{"goexec/execcode.go", "return errors.Wrapf(err, \"failed to run %q\", cmd)", "return notCompiled(s, err)"},
	{"goexec/execcode.go", "string(output)+\"\\n\"+err.Error(), err)\n\t\terr = errors.Wrapf(err, \"failed to run %q\", cmd.String())",
		"string(output), err)\n\t\terr = notCompiled(s, err)"},
	{"jpyexec/jpyexec.go", "\t\t_ = kernel.PublishWriteStream(exec.Msg, kernel.StreamStderr, errMsg)",
		"\t\tif !exec.useNamedPipes || exec.commsHandler == nil { // of a cell the caller tells it\n" +
			"\t\t\t_ = kernel.PublishWriteStream(exec.Msg, kernel.StreamStderr, errMsg)\n\t\t}"},
}

// Edit edits the kernel's source in a directory. The error says which place is not what it was.
func Edit(dir string) error {
	for _, edit := range edits {
		file := filepath.Join(dir, "internal", filepath.FromSlash(edit.file))
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		edited := strings.ReplaceAll(string(text), edit.old, edit.new)
		if edited == string(text) {
			return fmt.Errorf("gonb: %s is not what it was: it does not have %q", file, edit.old)
		}
		if err := os.WriteFile(file, []byte(edited), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "internal", "goexec", "hints.go"), hints, 0o600)
}
