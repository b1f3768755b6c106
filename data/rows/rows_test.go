package rows_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/data/chat"
	"gotune/data/rows"
)

// write makes a file in a new folder and returns its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func packed(t testing.TB, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Name = "../../etc/passwd" // a name inside the file means nothing
	if _, err := z.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// read returns all rows of a config.
func read(t testing.TB, c rows.Config) (*rows.Source, []*rows.Row, error) {
	t.Helper()
	s, err := rows.Open(t.Context(), c)
	if err != nil {
		return nil, nil, err
	}
	var all []*rows.Row
	for r, err := range s.All(t.Context()) {
		if err != nil {
			return s, all, err
		}
		all = append(all, r)
	}
	return s, all, nil
}

// show writes a row for comparison in one line.
func show(r *rows.Row) string {
	var s strings.Builder
	switch r.Form {
	case rows.Text:
		s.WriteString(r.Text)
	case rows.Completion:
		s.WriteString(r.Prompt + " → " + r.Completion)
	case rows.Messages:
		s.WriteString(turns(r.Conversation.Messages))
	case rows.Preference:
		s.WriteString(r.Prompt + turns(r.Conversation.Messages) + " → " +
			r.Chosen.Text + turns(r.Chosen.Messages) + " ≻ " + r.Rejected.Text + turns(r.Rejected.Messages))
	}
	return s.String()
}

func turns(list []chat.Message) string {
	var all []string
	for _, m := range list {
		s := m.Role + ": " + m.Content
		if m.Weight != nil {
			w, _ := json.Marshal(*m.Weight)
			s += " ×" + string(w)
		}
		all = append(all, s)
	}
	return strings.Join(all, " | ")
}

func TestFormats(t *testing.T) {
	const pair = "q → a"
	tests := []struct {
		name, content string
		columns       string
		format        string // set
		said          string // after the path
		want          []string
	}{
		{"a.jsonl", `{"text":"one"}` + "\n\n" + `{"text":"two"}`, "", "", "jsonl, text (text=text)", []string{"one", "two"}},
		{"a.ndjson", "\ufeff" + `{"text":"one"}`, "", "", "jsonl, text (text=text)", []string{"one"}},
		{"lines.json", `{"text":"one"}` + "\n" + `{"text":"two"}`, "", "", "jsonl, text (text=text)", []string{"one", "two"}},
		{"one.json", `{"messages":[{"role":"user","content":"q"}]}`, "", "", "jsonl, messages (messages=messages)", []string{"user: q"}},
		{"a.json", `[{"text":"one"}, {"text":"two"}]`, "", "", "json, text (text=text)", []string{"one", "two"}},
		{"bom.json", "\ufeff" + ` [ {"text" : "one"},` + "\n" + `{"text":"two"} ] `, "", "", "json, text (text=text)", []string{"one", "two"}},
		{"inside.json", `{"version":1,"meta":{"a":[1,{}]},"data":[{"text":"one"},{"text":"two"}],"n":2}`, "", "", "json, text (text=text)", []string{"one", "two"}},
		{"pretty.json", "{\n  \"data\": [\n    {\n      \"text\": \"one\"\n    }\n  ]\n}\n", "", "", "json, text (text=text)", []string{"one"}},
		{"objects.json", "{\n \"prompt\": \"q\",\n \"completion\": \"a\"\n}\n{\n \"prompt\": \"q\",\n \"completion\": \"a\"\n}", "", "", "json, prompt/completion (prompt=prompt,completion=completion)", []string{pair, pair}},
		{"nested.json", "{\n\"x\":[{\"y\":\"one\"}]\n}", "text=x.0.y", "", "json, text (text=x.0.y)", []string{"one"}},
		{"array.jsonl", `[{"text":"one"}]`, "", "", "json, text (text=text)", []string{"one"}},
		{"a.csv", "prompt,completion,n\nq,a,1\n", "", "", "csv, prompt/completion (prompt=prompt,completion=completion)", []string{pair}},
		{"quotes.csv", "\ufeffid,text\r\n1,\"say \"\"hi\"\",\r\nthen go\"\r\n2,\r\n", "", "", "csv, text (text=text)", []string{"say \"hi\",\nthen go", ""}},
		{"semi.csv", "prompt;completion\nq;a\n", "", "", "csv, prompt/completion (prompt=prompt,completion=completion)", []string{pair}},
		{"a.tsv", "prompt\tcompletion\nq\ta\n", "", "", "csv, prompt/completion (prompt=prompt,completion=completion)", []string{pair}},
		{"chats.csv", "messages\n" + `"[{""role"":""user"",""content"":""q""}]"` + "\n", "", "", "csv, messages (messages=messages)", []string{"user: q"}},
		{"a.txt", "\ufeffAll of it\nis one row.\n", "", "", "text, text", []string{"All of it\nis one row.\n"}},
		{"a.md", "# Title", "", "", "text, text", []string{"# Title"}},
		{"noending", ` {"text":"one"}`, "", "", "jsonl, text (text=text)", []string{"one"}},
		{"noending", "text\none\n", "", "csv", "csv, text (text=text)", []string{"one"}},
		{"data.csv", `{"text":"one"}`, "", "jsonl", "jsonl, text (text=text)", []string{"one"}},
	}
	for _, tt := range tests {
		for _, zip := range []bool{false, true} {
			name, content, said := tt.name, tt.content, tt.said
			if zip {
				format, rest, _ := strings.Cut(said, ",")
				name, content, said = name+".gz", packed(t, content), format+", gzip,"+rest
			}
			t.Run(name, func(t *testing.T) {
				columns, err := rows.ParseColumns(tt.columns)
				if err != nil {
					t.Fatal(err)
				}
				path := write(t, name, content)
				s, all, err := read(t, rows.Config{Paths: []string{path}, Columns: columns, Format: tt.format})
				if err != nil {
					t.Fatal(err)
				}
				if got, want := s.Files()[0].String(), path+": "+said; got != want {
					t.Errorf("said %q, want %q", got, want)
				}
				var got []string
				for i, r := range all {
					got = append(got, show(r))
					if r.Index != i || r.At.Path != path {
						t.Errorf("row %d has index %d and stands at %s", i, r.Index, r.At)
					}
				}
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

func TestForms(t *testing.T) {
	tests := []struct{ name, row, columns, want string }{
		{"text", `{"text":"abc","n":1}`, "", "abc"},
		{"completion", `{"prompt":"p","completion":"c","text":"t"}`, "", "p → c"},
		{"named", `{"question":"q","answer":"a"}`, "prompt=question,completion=answer", "q → a"},
		{"path", `{"a":{"b":["x","y"]}}`, "text=a.b.1", "y"},
		{"a dot in a name", `{"a.b":"whole","a":{"b":"inner"}}`, "text=a.b", "whole"},
		{"alpaca", `{"instruction":"i","input":"","output":"o"}`, "", "user: i | assistant: o"},
		{"alpaca with input", `{"instruction":"i","input":"n","output":"o"}`, "", "user: i\n\nn | assistant: o"},
		{"alpaca without input", `{"instruction":"i","output":"o"}`, "alpaca", "user: i | assistant: o"},
		{"alpaca with system", `{"instruction":"i","output":"o","system":"s"}`, "", "system: s | user: i | assistant: o"},
		{"alpaca renamed", `{"ask":"i","given":null,"say":"o","input":"other"}`, "instruction=ask,input=given,output=say", "user: i | assistant: o"},
		{"messages", `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a","weight":0.5}],"prompt":"p","completion":"c"}`, "",
			"system: s | user: u | assistant: a ×0.5"},
		{"developer", `{"messages":[{"role":"developer","content":"d"},{"role":"user","content":"u","weight":0}]}`, "", "developer: d | user: u"},
		{"system beside", `{"messages":[{"role":"user","content":"u"}],"system":"s"}`, "", "system: s | user: u"},
		{"system twice", `{"messages":[{"role":"system","content":"mine"}],"system":"s"}`, "", "system: mine"},
		{"parts", `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}`, "", "user: ab"},
		{"a list as text", `{"messages":"[{\"role\":\"user\",\"content\":\"u\"}]"}`, "", "user: u"},
		{"texts that look like lists", `{"prompt":"[1,2]","completion":"[2,1]"}`, "", "[1,2] → [2,1]"},
		{"sharegpt", `{"conversations":[{"from":"system","value":"s"},{"from":"human","value":"h"},{"from":"gpt","value":"g"},{"from":"function","value":"f"},{"from":"tool","value":"t"}]}`, "",
			"system: s | user: h | assistant: g | tool: f | tool: t"},
		{"conversations by role", `{"conversations":[{"role":"user","content":"u"}]}`, "", "user: u"},
		{"conversations renamed", `{"dialog":[{"from":"human","value":"h"}]}`, "messages=dialog", "user: h"},
		{"prompt of messages", `{"prompt":[{"role":"user","content":"u"},{"role":"assistant","content":"before"},{"role":"user","content":"v"}],"completion":[{"role":"assistant","content":"a"}]}`, "",
			"user: u | assistant: before ×0 | user: v | assistant: a"},
		{"preference", `{"prompt":"p","chosen":"c","rejected":"r"}`, "", "p → c ≻ r"},
		{"preference of messages", `{"prompt":[{"role":"user","content":"u"}],"chosen":[{"role":"assistant","content":"c"}],"rejected":[{"role":"assistant","content":"r"}]}`, "",
			"user: u → assistant: c ≻ assistant: r"},
		{"preference with the prompt inside", `{"chosen":[{"role":"user","content":"u"},{"role":"assistant","content":"c"}],"rejected":[{"role":"user","content":"u"},{"role":"assistant","content":"r"}]}`, "",
			"user: u → assistant: c ≻ assistant: r"},
		{"preference with the prompt twice", `{"prompt":"u","chosen":[{"role":"user","content":"u"},{"role":"assistant","content":"c"}],"rejected":[{"role":"user","content":"u"},{"role":"assistant","content":"r"}]}`, "",
			"user: u → assistant: c ≻ assistant: r"},
		{"preference of messages to a text", `{"prompt":"u","chosen":[{"role":"assistant","content":"c"}],"rejected":[{"role":"assistant","content":"r"}]}`, "",
			"user: u → assistant: c ≻ assistant: r"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			columns, err := rows.ParseColumns(tt.columns)
			if err != nil {
				t.Fatal(err)
			}
			_, all, err := read(t, rows.Config{Paths: []string{write(t, "a.jsonl", tt.row)}, Columns: columns})
			if err != nil {
				t.Fatal(err)
			}
			if got := show(all[0]); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestToolsAndOtherKeysOfMessages(t *testing.T) {
	row := `{"tools":[{"name":"add"}],"documents":[{"title":"t"}],"messages":[
{"role":"user","content":"1+1?","name":"Ann"},
{"role":"assistant","content":null,"tool_calls":[{"id":"7"}],"reasoning_content":"add them"},
{"role":"tool","content":"2","tool_call_id":"7"}]}`
	_, all, err := read(t, rows.Config{Paths: []string{write(t, "a.json", row)}})
	if err != nil {
		t.Fatal(err)
	}
	want := chat.Conversation{
		Tools:     json.RawMessage(`[{"name":"add"}]`),
		Documents: json.RawMessage(`[{"title":"t"}]`),
		Messages: []chat.Message{
			{Role: "user", Content: "1+1?", Name: "Ann"},
			{Role: "assistant", ToolCalls: json.RawMessage(`[{"id":"7"}]`), Extra: map[string]json.RawMessage{"reasoning_content": json.RawMessage(`"add them"`)}},
			{Role: "tool", Content: "2", ToolCallID: "7"},
		},
	}
	if d := cmp.Diff(want, all[0].Conversation); d != "" {
		t.Error(d)
	}
	row = `{"conversations":[{"from":"function_call","value":"{\"name\":\"add\",\"arguments\":{}}"},{"from":"observation","value":"2"}],"tools":"[{\"name\":\"add\"}]"}`
	if _, all, err = read(t, rows.Config{Paths: []string{write(t, "a.jsonl", row)}}); err != nil {
		t.Fatal(err)
	}
	want = chat.Conversation{
		Tools: json.RawMessage(`[{"name":"add"}]`),
		Messages: []chat.Message{
			{Role: "assistant", ToolCalls: json.RawMessage(`[{"type":"function","function":{"name":"add","arguments":{}}}]`)},
			{Role: "tool", Content: "2"},
		},
	}
	if d := cmp.Diff(want, all[0].Conversation); d != "" {
		t.Error(d)
	}
}

func TestRefuses(t *testing.T) {
	good := `{"prompt":"p","completion":"c"}` + "\n"
	tests := []struct {
		name    string
		file    string // its name
		content string
		columns string
		want    string
	}{
		{"empty file", "a.jsonl", "", "", "a.jsonl has no rows: the file is empty"},
		{"only empty lines", "a.jsonl", "\n \r\n\n", "", "a.jsonl has no rows"},
		{"empty text file", "a.txt", " \n", "", "a.txt has no rows"},
		{"empty JSON", "a.json", "", "", "a.json has no rows"},
		{"an empty list", "a.json", "[]", "", "a.json has no rows"},
		{"an empty table", "a.csv", "", "", "a.csv has no rows"},
		{"only a header", "a.csv", "text\n", "", "a.csv has no rows"},
		{"invalid JSON", "a.jsonl", good + "\n" + `{"prompt":"p",}`, "", "a.jsonl:3: invalid JSON at byte 15 of the line"},
		{"half a line", "a.jsonl", good + `{"prompt":"p","compl`, "", "a.jsonl:2: invalid JSON"},
		{"two objects in a line", "a.jsonl", `{"text":"a"} {"text":"b"}`, "", "a.jsonl:1: invalid JSON"},
		{"half a list", "a.json", `[{"text":"a"},`, "", "a.json: row 2: line 1: invalid JSON: the file ends in the middle"},
		{"no comma", "a.json", "[{\"text\":\"a\"}\n{\"text\":\"b\"}]", "", "a.json: row 2: line 2: invalid JSON: '{' where a comma or ] should be"},
		{"a comma too many", "a.json", `[{"text":"a"},]`, "", "a.json: row 2: line 1: invalid JSON"},
		{"no quotes", "a.json", `[{text:"a"}]`, "", "a.json: row 1: line 1: invalid JSON at byte 2 of the row"},
		{"a list of strings", "a.json", `["a"]`, "", "a.json: row 1: line 1: a row is a JSON object, not a string"},
		{"two lists of rows", "a.json", `{"a":[{"text":"a"}],"b":[{"text":"a"}]}`, "", `two lists of rows in one object, "a" and "b"`},
		{"no object", "a.jsonl", `"text"`, "", "a.jsonl:1: a row is a JSON object, not a string"},
		{"null", "a.jsonl", `null`, "", "a.jsonl:1: null is no row"},
		{"unknown keys", "a.jsonl", `{"question":"q","answer":"a"}`, "", `a.jsonl:1: no known columns: the row has "answer", "question"`},
		{"no keys", "a.jsonl", `{}`, "", "a.jsonl:1: no known columns: the row has no columns"},
		{"unknown column", "a.jsonl", `{"question":"q","answer":"a"}`, "prompt=question,completion=reply", `a.jsonl:1: no column "reply": the row has "answer", "question"`},
		{"a later row without the column", "a.jsonl", good + `{"text":"t"}`, "", `a.jsonl:2: no column "prompt": the row has "text"`},
		{"a number for a text", "a.jsonl", `{"text":7}`, "", `a.jsonl:1: column "text" holds a number where a string is needed`},
		{"null for a text", "a.jsonl", `{"text":null}`, "", `column "text" holds a null`},
		{"a list for a completion", "a.jsonl", `{"prompt":"p","completion":["c"]}`, "", `column "completion" holds a list`},
		{"a path to nowhere", "a.jsonl", `{"a":[{"b":1}]}`, "text=a.1.b", `no column "a.1.b": a has 1 elements`},
		{"a path by name into a list", "a.jsonl", `{"a":[{"b":1}]}`, "text=a.b", `a is a list, and "b" is not the place`},
		{"a path to no key", "a.jsonl", `{"a":[{"b":1}]}`, "text=a.0.c", `no column "a.0.c": a.0 has "b"`},
		{"a path into a number", "a.jsonl", `{"a":[{"b":1}]}`, "text=a.0.b.c", `a.0.b holds a number, which has nothing inside`},
		{"a path to a number", "a.jsonl", `{"a":[{"b":1}]}`, "text=a.0.b", `column "a.0.b" holds a number`},
		{"no output", "a.jsonl", `{"instruction":"i","output":null}`, "", `column "output" holds a null`},
		{"a number as input", "a.jsonl", `{"instruction":"i","input":1,"output":"o"}`, "", `column "input" holds a number`},
		{"a string for messages", "a.jsonl", `{"messages":"hi"}`, "", `column "messages" holds a string where a list of messages is needed`},
		{"a string for a message", "a.jsonl", `{"messages":["hi"]}`, "", "a message is an object with role and content"},
		{"a null message", "a.jsonl", `{"messages":[null]}`, "", `message 1: no column "role": the row has no columns`},
		{"a message without role", "a.jsonl", `{"messages":[{"content":"c"}]}`, "", `message 1: no column "role": the row has "content"`},
		{"a message without content", "a.jsonl", `{"messages":[{"role":"assistant","content":null}]}`, "", `message 1: column "content" holds a null`},
		{"an image", "a.jsonl", `{"messages":[{"role":"user","content":[{"type":"image"}]}]}`, "", `message 1: column "content": part 1 is of type "image"`},
		{"an unknown role", "a.jsonl", `{"messages":[{"role":"human","content":"c"}]}`, "", `message 1: unknown role "human"`},
		{"an unknown speaker", "a.jsonl", `{"conversations":[{"from":"Bob","value":"c"}]}`, "", `message 1: unknown speaker "Bob"`},
		{"a negative weight", "a.jsonl", `{"messages":[{"role":"assistant","content":"c","weight":-1}]}`, "", `message 1: the weight is -1`},
		{"a weight in words", "a.jsonl", `{"messages":[{"role":"assistant","content":"c","weight":"no"}]}`, "", `message 1: the weight is a string`},
		{"a huge weight", "a.jsonl", `{"messages":[{"role":"assistant","content":"c","weight":1e999}]}`, "", `message 1: the weight is 1e999`},
		{"a weight of a user", "a.jsonl", `{"messages":[{"role":"user","content":"c","weight":1}]}`, "", `message 1: a weight of 1 for a message by user`},
		{"tool calls of a user", "a.jsonl", `{"messages":[{"role":"user","content":"c","tool_calls":[{}]}]}`, "", `message 1: tool_calls of a message by user`},
		{"preference without prompt", "a.jsonl", `{"chosen":"c","rejected":"r"}`, "", `need the prompt that they answer`},
		{"preference of nothing", "a.jsonl", `{"chosen":[],"rejected":[]}`, "", `an answer without messages`},
		{"preference with nothing shared", "a.jsonl", `{"chosen":[{"role":"user","content":"a"}],"rejected":[{"role":"user","content":"b"}]}`, "", `share no messages before the answer`},
		{"fields missing", "a.csv", "prompt,completion\nq,a\nq\n", "", "a.csv:3: another number of fields than the 2 of the header"},
		{"a quote never closed", "a.csv", "text\na\n\"b\nc\n", "", "a.csv:3: a field in quotes does not end"},
		{"a bare quote", "a.csv", "text\na\"b\n", "", "a.csv:2: a quote in a field without quotes"},
		{"a column twice", "a.csv", "text,text\na,b\n", "", `a.csv: line 1: two columns are named "text"`},
		{"Latin-1", "a.csv", "text\nna\xefve\n", "", `a.csv:2: column "text": not valid UTF-8`},
		{"Latin-1 in JSON", "a.jsonl", good + "{\"prompt\":\"\xff\",\"completion\":\"c\"}", "", "a.jsonl:2: not valid UTF-8"},
		{"Latin-1 in a list", "a.json", "[{\"text\":\"\xff\"}]", "", "a.json: row 1: line 1: not valid UTF-8"},
		{"Latin-1 in an object", "a.json", "{\"text\":\n\"\xff\"}", "", `a.json: row 1: line 2: column "text": not valid UTF-8`},
		{"a word that is no value", "a.json", "{\"text\":\n\"a\", \"system\": nul}", "", `a.json: row 1: line 2: column "system": invalid JSON`},
		{"Latin-1 in text", "a.txt", "one\ntwo \xff\n", "", "a.txt:2: not valid UTF-8"},
		{"UTF-16", "a.txt", "\xff\xfea\x00", "", "a.txt: this is UTF-16; save it as UTF-8"},
		{"NUL in JSON", "a.jsonl", "{\"text\":\"a\x00b\"}", "", "a.jsonl:1: invalid JSON at byte"},
		{"only NUL", "a.json", "\x00\x00\x00", "", "a.json:1: invalid JSON"},
		{"columns of a text file", "a.txt", "text", "text=t", `a.txt is plain text and has no columns; leave out "text=t"`},
		{"zip", "a.jsonl.zip", "PK\x03\x04", "", "a.jsonl.zip: this is packed by zip"},
		{"zstd", "a.jsonl.zst", "\x28\xb5\x2f\xfd", "", "a.jsonl.zst: this is packed by zstd"},
		{"another format", "a.bin", "\x01\x02", "", "a.bin: the format cannot be told"},
		{"no format at all", "a", "text", "", "a: the format cannot be told"},
		{"gzip cut off", "a.jsonl.gz", packed(t, strings.Repeat(good, 50))[:40], "", "a.jsonl.gz: the gzip file is damaged or cut off"},
		{"gzip damaged", "a.jsonl.gz", "\x1f\x8b\x08 and more", "", "a.jsonl.gz"},
		{"gzip of nothing", "a.jsonl.gz", packed(t, ""), "", "a.jsonl.gz has no rows"},
		{"gzip twice", "a.jsonl.gz", packed(t, packed(t, good)), "", "gzip inside gzip"},
		{"deep nesting", "a.jsonl", `{"text":` + strings.Repeat("[", 1e5), "", "a.jsonl:1: invalid JSON"},
		{"deep nesting in a list", "a.json", `[{"text":` + strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5) + "}]", "", "exceeded max depth"},
		{"deep nesting of lists", "a.json", strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5), "", "exceeded max depth"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.file, tt.content)
			columns, err := rows.ParseColumns(tt.columns)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = read(t, rows.Config{Paths: []string{path}, Columns: columns})
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), filepath.Dir(path)+string(filepath.Separator), "")
			if !strings.Contains(got, tt.want) {
				t.Errorf("error %q\nwant one with %q", got, tt.want)
			}
		})
	}
}

func TestParseColumns(t *testing.T) {
	good := map[string]rows.Columns{
		"":                                  {},
		"text=body":                         {Text: "body"},
		" prompt = q , completion = a b ":   {Prompt: "q", Completion: "a b"},
		"completion=a=b,prompt=q":           {Prompt: "q", Completion: "a=b"},
		"messages=conversation":             {Messages: "conversation"},
		"prompt=question,completion=answer": {Prompt: "question", Completion: "answer"},
		"prompt=instruction,completion=instances.0.output": {Prompt: "instruction", Completion: "instances.0.output"},
		"alpaca":                          {Instruction: "instruction", Input: "input", Output: "output"},
		"sharegpt":                        {Messages: "conversations"},
		"instruction=i,output=o,system=s": {Instruction: "i", Output: "o", System: "s"},
		"chosen=c,rejected=r":             {Chosen: "c", Rejected: "r"},
		"chosen=c,rejected=r,prompt=p":    {Chosen: "c", Rejected: "r", Prompt: "p"},
		"messages=m,tools=t,system=s":     {Messages: "m", Tools: "t", System: "s"},
	}
	for list, want := range good {
		got, err := rows.ParseColumns(list)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", list, got, err)
		}
		if again, err := rows.ParseColumns(got.String()); err != nil || again != got {
			t.Errorf("%q: %q reads back as %+v, %v", list, got, again, err)
		}
	}
	bad := map[string]string{
		"text":                  `"text" is not KIND=COLUMN, as in prompt=question`,
		"text=":                 "is not KIND=COLUMN",
		"answer=a":              `there is no "answer"`,
		"prompt=q":              "prompt and completion together",
		"text=t,messages=m":     "messages alone",
		"instruction=i":         "instruction and output",
		"chosen=c,prompt=p":     "chosen and rejected",
		"text=t,input=i":        "text alone",
		"prompt=q,prompt=r":     "prompt is named twice",
		"prompt=q,completion=,": "is not KIND=COLUMN",
	}
	for list, want := range bad {
		if _, err := rows.ParseColumns(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", list, err, want)
		}
	}
}
