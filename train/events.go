package train

import "gotune/model"

// An Observer is told how a run goes. Its methods are called by one goroutine.
// Embed [Silent] to write those that matter.
type Observer interface {
	// Start is called when a stage begins or goes on.
	Start(Header)
	// Step is called after every optimizer step.
	Step(StepEvent)
	// Evaluated is called after every evaluation.
	Evaluated(EvalEvent)
	// Done is called at the end of a run that is finished.
	Done(DoneEvent)
}

// Silent is an Observer that does nothing.
type Silent struct{}

// Start does nothing.
func (Silent) Start(Header) {}

// Step does nothing.
func (Silent) Step(StepEvent) {}

// Evaluated does nothing.
func (Silent) Evaluated(EvalEvent) {}

// Done does nothing.
func (Silent) Done(DoneEvent) {}

// A Header says what a run, or a stage of it, is about to do.
type Header struct {
	Run          string         `json:"run"`
	Model        string         `json:"model"`
	Parameters   int            `json:"parameters"` // of the model and the adapter
	Trainable    int            `json:"trainable"`
	Method       string         `json:"method"` // such as LoRA r=8 or full
	Data         string         `json:"data"`
	Files        []string       `json:"files,omitempty"`     // how each file is read: its format, form and columns
	Streaming    bool           `json:"streaming,omitempty"` // what is said of rows is of the first ones
	Corpora      []Exposure     `json:"corpora,omitempty"`
	Rows         int            `json:"rows"`    // kept
	Skipped      int            `json:"skipped"` // rows with nothing to learn
	Dropped      int            `json:"dropped"` // rows that are too long
	Refused      int            `json:"refused"` // rows of which it cannot be told what the assistant wrote
	TargetShare  float64        `json:"target_share"`
	Template     string         `json:"chat_template"`   // of conversations
	Stage        string         `json:"stage,omitempty"` // "" in a run of one stage
	StageIndex   int            `json:"stage_index"`
	Stages       int            `json:"stages"`
	StageSteps   int            `json:"stage_steps"`
	Steps        int            `json:"steps"`      // of the run
	FirstStep    int            `json:"first_step"` // above 0 where a run goes on
	Warnings     []string       `json:"warnings,omitempty"`
	Serious      int            `json:"serious_warnings,omitempty"` // so many of the first: the outcome, or its scores, mean little
	CPULevel     string         `json:"cpu_level"`
	Precision    string         `json:"precision"`         // arithmetic of the products
	Pairs        string         `json:"bf16_by,omitempty"` // what the CPU has for products in bf16
	Threads      int            `json:"threads"`
	PlannedBytes int64          `json:"planned_bytes"` // see Memory
	Memory       Memory         `json:"memory"`        // the same by component
	StageTokens  float64        `json:"stage_tokens"`  // of all steps of the stage, with padding
	Weights      []model.Stored `json:"weights"`       // how those of the model are held
	EvalRows     int            `json:"held_out_rows"`
}

// An Exposure says how often a corpus is seen in a stage.
type Exposure struct {
	Path  string  `json:"path"`
	Rows  int     `json:"rows"`
	Times float64 `json:"times"` // each row on average
}

// A StepEvent is one optimizer step. Loss is the mean over the step's target
// tokens, GradNorm the global norm before clipping.
type StepEvent struct {
	Event           string  `json:"event"`
	Stage           string  `json:"stage,omitempty"`
	Step            int     `json:"step"` // from 1
	Loss            float64 `json:"loss"`
	GradNorm        float64 `json:"grad_norm"`
	LearningRate    float64 `json:"learning_rate"`
	TargetTokens    int     `json:"target_tokens"`
	Tokens          int     `json:"tokens"` // that are not padding
	TokensPerSecond float64 `json:"tokens_per_second"`
}

// Scores are the results of an evaluation; nil where there is nothing to score.
type Scores struct {
	// ExactMatch is the share of rows with a prompt whose every target token has
	// the largest logit, which is when greedy generation gives the right answer.
	ExactMatch *float64 `json:"exact_match"`
	// UnseenWording is ExactMatch over the rows whose wording is "unseen".
	UnseenWording *float64 `json:"exact_match_unseen_wording"`
	// GeneratedMatch is the share of eval_generate questions that greedy generation
	// answers with the wanted text.
	GeneratedMatch *float64 `json:"generated_match,omitempty"`
	// Loss is the mean negative log-likelihood of the target tokens, in nats.
	Loss *float64 `json:"loss"`
	// LogProbability is the mean over rows of the log-probability of all target
	// tokens of a row, in nats.
	LogProbability *float64 `json:"log_probability"`
	// RetainLoss is the loss on the data that should not be forgotten.
	RetainLoss *float64 `json:"retain_loss,omitempty"`
	Rows       int      `json:"rows"`
	// Corpora are the scores of each corpus where eval_data names several.
	Corpora []CorpusScores `json:"corpora,omitempty"`
}

// CorpusScores are the scores of one corpus of eval_data.
type CorpusScores struct {
	Path string `json:"path"`
	Scores
}

// An Answer is what the model generates for a held-out question.
type Answer struct {
	Question string `json:"question"`
	Want     string `json:"want"`
	Got      string `json:"got"`
	Wording  string `json:"wording,omitempty"`
	Ended    bool   `json:"ended"` // with the end token, and not by its length
}

// An EvalEvent is an evaluation after a number of steps: before, during or after
// training.
type EvalEvent struct {
	Event string `json:"event"`
	When  string `json:"when"`
	Stage string `json:"stage,omitempty"`
	Step  int    `json:"step"`
	Scores
	Answers []Answer `json:"answers,omitempty"`
}

// A DoneEvent ends a run. Before and After are nil without evaluation.
type DoneEvent struct {
	Event  string     `json:"event"`
	Run    string     `json:"run"`
	Steps  int        `json:"steps"`
	Result string     `json:"result"` // the folder of the adapter or model
	Before *EvalEvent `json:"before"`
	After  *EvalEvent `json:"after"`

	// AlreadyFinished says that a finished run was asked to go on.
	AlreadyFinished bool `json:"already_finished,omitempty"`
	// TrainSeconds is the time of the optimizer steps of this process.
	TrainSeconds float64 `json:"train_seconds"`
}
