package train

import (
	"fmt"

	"gotune/data"
	"gotune/data/rows"
	"gotune/lora"
	"gotune/optim"
	"gotune/schedule"
)

// LoRA is how a stage's adapter is made: its fields are keys of the stage.
type LoRA = lora.Config

// A Stage is one training with its own data, objective, optimizer and schedule.
type Stage struct {
	Name string `yaml:"name,omitempty" help:"name of the stage"`

	Data        Datasets `yaml:"data" of:"train,pretrain,lr" help:"training data: files or folders, or corpora of the toy world such as world:chat"`
	Columns     string   `yaml:"columns,omitempty" of:"train,pretrain,lr" help:"which columns of files to read, such as prompt=question,completion=answer"`
	DataFormat  string   `yaml:"data_format,omitempty" of:"train,pretrain,lr" help:"format of files where it cannot be found out: jsonl, json, csv, text or parquet"`
	Objective   string   `yaml:"objective" of:"train,lr" help:"sft learns completions and assistant turns, cpt every token" default:"sft"`
	MaskHistory bool     `yaml:"mask_history" of:"train,lr" help:"learn only the last assistant turn of a conversation"`
	Replay      float64  `yaml:"replay" of:"train" help:"rows of the stages before that are mixed in, as a share of the stage's own rows" default:"0" range:"0,1000"`

	Full              bool   `yaml:"full" of:"train,lr" help:"train all weights instead of an adapter"`
	LastLayers        int    `yaml:"last_layers" of:"train,lr" help:"train only the last layers, all their weights or their adapters, so many of them; 0 is all" default:"0" range:"0,100000"`
	PreviousAdapter   string `yaml:"previous_adapter" of:"train" help:"what becomes of the adapter of the stage before: keep goes on with it, merge writes it into the weights, fresh leaves it aside" default:"keep"`
	PreviousOptimizer string `yaml:"previous_optimizer" of:"train" help:"what becomes of the optimizer of the stage before: fresh begins anew, keep goes on with its averages and its count of steps, where the same parameters are trained" default:"fresh"`
	PEFTType          string `yaml:"peft_type" of:"train,lr" peft:"LORA,PROMPT_TUNING,PREFIX_TUNING" help:"kind of the adapter: LORA, or virtual tokens before each text by PROMPT_TUNING or PREFIX_TUNING" default:"LORA"`
	LoRA              `yaml:",inline"`
	NumVirtualTokens  int    `yaml:"num_virtual_tokens" of:"train,lr" peft:"PROMPT_TUNING,PREFIX_TUNING" help:"virtual tokens of prompt and prefix tuning; max_length counts them" default:"20" range:"1,1048576"`
	PromptTuningInit  string `yaml:"prompt_tuning_init" of:"train,lr" peft:"PROMPT_TUNING" help:"what prompt tuning begins from: RANDOM, SAMPLE_VOCAB, or TEXT with prompt_tuning_init_text" default:"RANDOM"`
	PromptTuningText  string `yaml:"prompt_tuning_init_text,omitempty" of:"train,lr" peft:"PROMPT_TUNING" help:"text whose embeddings prompt tuning begins from"`
	PrefixProjection  bool   `yaml:"prefix_projection,omitempty" of:"train,lr" peft:"PREFIX_TUNING" help:"prefix tuning learns two linear layers that make keys and values, which are all that is saved"`
	EncoderHiddenSize int    `yaml:"encoder_hidden_size,omitempty" of:"train,lr" peft:"PREFIX_TUNING" help:"width between the layers of prefix_projection; 0 is that of the keys of a layer" default:"0" range:"0,1048576"`

	Epochs                    float64 `yaml:"epochs" of:"train,pretrain,schedule" help:"passes over the data" default:"3" range:"0,1e6"`
	MaxSteps                  int     `yaml:"max_steps" of:"train,pretrain,schedule" help:"optimizer steps, in place of epochs; 0 counts epochs" default:"0" range:"0,2147483647"`
	BatchSize                 int     `yaml:"batch_size" of:"train,pretrain,lr" help:"rows of a micro-batch" default:"8" range:"1,1048576"`
	GradientAccumulationSteps int     `yaml:"gradient_accumulation_steps" of:"train,pretrain,lr" help:"micro-batches of an optimizer step" default:"1" range:"1,1048576"`
	MaxLength                 int     `yaml:"max_length" of:"train,pretrain,lr" help:"longest row in tokens; 0 is the model's context, at most 1024" default:"0" range:"0,1048576"`
	Packing                   bool    `yaml:"packing" of:"train,pretrain,lr" help:"put several rows into one, kept apart"`
	Shuffle                   bool    `yaml:"shuffle" of:"train,pretrain,lr" help:"draw a new order of rows for each epoch" default:"true"`
	Streaming                 bool    `yaml:"streaming" of:"train,pretrain" help:"read rows as they are needed, for data that does not fit into memory"`
	ShuffleBuffer             int     `yaml:"shuffle_buffer" of:"train,pretrain" help:"rows among which streaming draws the next one" default:"10000" range:"1,100000000"`

	LearningRate float64 `yaml:"learning_rate" of:"train,pretrain,schedule" help:"peak learning rate" default:"0.0002" range:"0,1000"`
	Schedule     string  `yaml:"schedule" of:"train,pretrain,schedule,lr" help:"curve of the learning rate: constant, linear, cosine, cosine_with_restarts, wsd, inverse_sqrt or polynomial" default:"cosine"`
	WarmupSteps  int     `yaml:"warmup_steps" of:"train,pretrain,schedule,lr" help:"steps from 0 to the peak" default:"0" range:"0,2147483647"`
	WarmupRatio  float64 `yaml:"warmup_ratio" of:"train,pretrain,schedule,lr" help:"the same as a share of all steps, where neither steps nor epochs are given" default:"0.03" range:"0,1"`
	WarmupEpochs float64 `yaml:"warmup_epochs" of:"train,pretrain,schedule,lr" help:"the same in passes over the data" default:"0" range:"0,1e6"`
	MinLRRatio   float64 `yaml:"min_lr_ratio" of:"train,pretrain,schedule,lr" help:"floor of the learning rate as a share of the peak" default:"0.1" range:"0,1"`
	NumCycles    int     `yaml:"num_cycles" of:"train,pretrain,schedule,lr" help:"falls from peak to floor of cosine_with_restarts" default:"1" range:"1,1000000"`
	DecayRatio   float64 `yaml:"decay_ratio" of:"train,pretrain,schedule,lr" help:"share of all steps in which wsd falls" default:"0.1" range:"0,1"`
	DecaySteps   int     `yaml:"decay_steps" of:"train,pretrain,schedule,lr" help:"the same in steps, in place of the ratio" default:"0" range:"0,2147483647"`
	DecayType    string  `yaml:"decay_type" of:"train,pretrain,schedule,lr" help:"shape of the fall of wsd: linear, cosine or sqrt" default:"sqrt"`
	Timescale    float64 `yaml:"timescale" of:"train,pretrain,schedule,lr" help:"steps after the peak in which inverse_sqrt falls to 0.71 of it; 0 is the warmup, or 10000" default:"0" range:"0,1e12"`
	Power        float64 `yaml:"power" of:"train,pretrain,schedule,lr" help:"power of polynomial" default:"1" range:"0,1000"`

	Optimizer         string  `yaml:"optimizer" of:"train,pretrain,lr" help:"update rule: adamw, adamw_8bit, adafactor, lion, sgd, or muon for full tuning" default:"adamw"`
	WeightDecay       float64 `yaml:"weight_decay" of:"train,pretrain,lr" help:"decoupled weight decay of matrices" default:"0" range:"0,1000"`
	AdamBeta1         float64 `yaml:"adam_beta1" of:"train,pretrain,lr" help:"decay of the first average of AdamW, also of 8 bits, and Lion" default:"0.9" range:"0,0.999999999999"`
	AdamBeta2         float64 `yaml:"adam_beta2" of:"train,pretrain,lr" help:"decay of the second average of AdamW, also of 8 bits, and Lion" default:"0.999" range:"0,0.999999999999"`
	AdamEpsilon       float64 `yaml:"adam_epsilon" of:"train,pretrain,lr" help:"added to the root in AdamW" default:"1e-08" range:"0,1"`
	Momentum          float64 `yaml:"momentum" of:"train,pretrain,lr" help:"decay of the velocity of SGD; 0 keeps none" default:"0" range:"0,0.999999999999"`
	Nesterov          bool    `yaml:"nesterov" of:"train,pretrain,lr" help:"Nesterov's momentum in SGD"`
	Min8BitSize       int     `yaml:"min_8bit_size" of:"train,pretrain,lr" help:"parameters of fewer values keep float32 averages in adamw_8bit" default:"4096" range:"0,2147483647"`
	BlockSize8Bit     int     `yaml:"block_size_8bit" of:"train,pretrain,lr" help:"averages that share a scale in adamw_8bit; 256 is that of bitsandbytes, 2048 the paper's" default:"256" range:"16,65536"`
	ScaleParameter    bool    `yaml:"scale_parameter" of:"train,pretrain,lr" help:"multiply the rate by each parameter's root mean square in Adafactor"`
	RelativeStep      bool    `yaml:"relative_step" of:"train,pretrain,schedule,lr" help:"the learning rate of step t is min(0.01, 1/√t), in place of learning_rate and schedule, with Adafactor"`
	WarmupInit        bool    `yaml:"warmup_init" of:"train,pretrain,schedule,lr" help:"with relative_step it is min(0.000001·t, 1/√t)"`
	ClipThreshold     float64 `yaml:"clip_threshold" of:"train,pretrain,lr" help:"largest root mean square of an update of Adafactor, before the rate" default:"1" range:"1e-9,1e9"`
	AdafactorDecay    float64 `yaml:"adafactor_decay_rate" of:"train,pretrain,lr" help:"power of the step in the decay of Adafactor's squares" default:"-0.8" range:"-10,-1e-6"`
	AdafactorBeta1    float64 `yaml:"adafactor_beta1" of:"train,pretrain,lr" help:"decay of an average of Adafactor's updates; 0 keeps none" default:"0" range:"0,0.999999999999"`
	MuonMomentum      float64 `yaml:"muon_momentum" of:"train,pretrain,lr" help:"decay of the average of gradients of Muon" default:"0.95" range:"0,0.999999999999"`
	NSSteps           int     `yaml:"ns_steps" of:"train,pretrain,lr" help:"steps of the Newton-Schulz iteration of Muon" default:"5" range:"1,99"`
	AdjustLRFn        string  `yaml:"adjust_lr_fn" of:"train,pretrain,lr" help:"how Muon's rate follows the shape of a matrix: match_rms_adamw, with the rates of AdamW, or original" default:"match_rms_adamw"`
	EMADecay          float64 `yaml:"ema_decay" of:"train,pretrain" help:"evaluate and save a moving average of what is trained, of this decay, in place of where training stands; 0 is off" default:"0" range:"0,0.999999999999"`
	LoRAPlusLRRatio   float64 `yaml:"loraplus_lr_ratio" of:"train,lr" peft:"LORA" help:"the B of every adapted layer trains at this times the rate of its A (LoRA+); 0 is off, 16 the paper's" default:"0" range:"0,1e6"`
	LayerDecay        float64 `yaml:"layer_decay" of:"train,pretrain,lr" help:"each layer trains at this times the rate of the one above it; 0 is off" default:"0" range:"0,1"`
	ParamGroups       []Group `yaml:"param_groups,omitempty"`
	MaxGradNorm       float64 `yaml:"max_grad_norm" of:"train,pretrain,lr" help:"largest global norm of the gradients; 0 does not clip" default:"1" range:"0,1e9"`
	NEFTuneNoiseAlpha float64 `yaml:"neftune_noise_alpha" of:"train,lr" help:"noise on the embeddings while training (NEFTune); 0 is none, 5 is common" default:"0" range:"0,1000"`
}

// A Group gives parameters a rate and a weight decay of their own.
type Group struct {
	Pattern     string   `yaml:"pattern" help:"regular expression that is searched for in the names of parameters; the first group that matches wins"`
	LRScale     *float64 `yaml:"lr_scale,omitempty" help:"factor of the learning rate"`
	WeightDecay *float64 `yaml:"weight_decay,omitempty" help:"in place of the stage's"`
}

// optimizer returns the settings of the stage's optimizer for a model of so many
// layers.
func (s Stage) optimizer(layers int) optim.Config {
	c := optim.Config{
		Name: s.Optimizer, Beta1: s.AdamBeta1, Beta2: s.AdamBeta2, Epsilon: s.AdamEpsilon,
		Momentum: s.Momentum, Nesterov: s.Nesterov, WeightDecay: s.WeightDecay, MaxGradNorm: s.MaxGradNorm,
		BlockSize: s.BlockSize8Bit, Min8BitSize: s.Min8BitSize,
		ClipThreshold: s.ClipThreshold, DecayRate: s.AdafactorDecay, ScaleParameter: s.ScaleParameter, FirstMoment: s.AdafactorBeta1,
		MuonMomentum: s.MuonMomentum, NSSteps: s.NSSteps, AdjustLR: s.AdjustLRFn,
	}
	for _, g := range s.ParamGroups {
		c.Groups = append(c.Groups, optim.Group{Pattern: g.Pattern, RateScale: g.LRScale, WeightDecay: g.WeightDecay})
	}
	if s.LoRAPlusLRRatio > 0 {
		c.Scales = append(c.Scales, optim.LoRAPlus(s.LoRAPlusLRRatio))
	}
	if s.LayerDecay > 0 {
		c.Scales = append(c.Scales, optim.LayerDecay(s.LayerDecay, layers, optim.Layer))
	}
	return c
}

// checkOptimizer refuses what belongs to another optimizer than the stage's, and Muon where
// there are no matrices of the model for it.
func (s Stage) checkOptimizer() error {
	switch {
	case s.Optimizer != "adafactor" && (s.ScaleParameter || s.RelativeStep || s.WarmupInit):
		return fmt.Errorf("scale_parameter, relative_step and warmup_init belong to the optimizer adafactor, not to %s", s.Optimizer)
	case s.WarmupInit && !s.RelativeStep:
		return fmt.Errorf("warmup_init needs relative_step")
	}
	return nil
}

// averages are the settings that an optimizer's averages depend on, so that it can go on
// with those of another stage only where they are the same.
func (s Stage) averages() Stage {
	return Stage{
		Optimizer: s.Optimizer, AdamBeta1: s.AdamBeta1, AdamBeta2: s.AdamBeta2, Momentum: s.Momentum,
		Min8BitSize: s.Min8BitSize, BlockSize8Bit: s.BlockSize8Bit,
		AdafactorDecay: s.AdafactorDecay, AdafactorBeta1: s.AdafactorBeta1, MuonMomentum: s.MuonMomentum,
	}
}

// schedule returns the curve over a number of steps.
func (s Stage) schedule(steps, epoch int) (*schedule.Schedule, error) {
	ratio := s.WarmupRatio
	if s.WarmupSteps > 0 || s.WarmupEpochs > 0 {
		ratio = 0 // as in transformers, steps win over the ratio
	}
	return schedule.New(schedule.Config{
		Name: s.Schedule, Steps: steps, StepsPerEpoch: epoch,
		WarmupSteps: s.WarmupSteps, WarmupRatio: ratio, WarmupEpochs: s.WarmupEpochs,
		Peak: s.LearningRate, MinRatio: s.MinLRRatio,
		Cycles: s.NumCycles, DecaySteps: s.DecaySteps, DecayRatio: s.DecayRatio, DecayType: s.DecayType,
		Timescale: s.Timescale, Power: s.Power,
	})
}

// validateData checks what is said about the data.
func (r Recipe) validateData() error {
	if len(r.Data) == 0 {
		return fmt.Errorf("data is missing: name a file, or a corpus such as world:chat")
	}
	if _, err := rows.ParseColumns(r.Columns); err != nil {
		return fmt.Errorf("columns: %w", err)
	}
	for _, list := range []struct {
		key  string
		data Datasets
	}{{"data", r.Data}, {"eval_data", r.EvalData}, {"retain_data", r.RetainData}} {
		for _, d := range list.data {
			if d.Path == "" {
				return fmt.Errorf("%s: an entry has no path", list.key)
			}
			if _, err := rows.ParseColumns(d.Columns); err != nil {
				return fmt.Errorf("%s: %s: columns: %w", list.key, d.Path, err)
			}
			if list.key != "data" && (d.Rows != 0 || d.Repeat != 0 || d.Weight != 0) {
				return fmt.Errorf("%s: %s: rows, repeat and weight are for training data; what is evaluated is taken whole", list.key, d.Path)
			}
			if r.Streaming && list.key == "data" && (d.Rows != 0 || d.Repeat != 0 || d.Weight != 0) {
				return fmt.Errorf("data: %s: rows, repeat and weight cannot be had with streaming, which does not know how many rows there are", d.Path)
			}
		}
	}
	if err := data.CheckNames(r.Allow); err != nil {
		return fmt.Errorf("allow: %w", err)
	}
	return r.validateStreaming()
}

// validateStreaming refuses what needs to know all rows beforehand, or to read
// them again.
func (r Recipe) validateStreaming() error {
	switch {
	case !r.Streaming:
		return nil
	case r.MaxSteps == 0:
		return fmt.Errorf("streaming does not know how many rows there are: say by max_steps how long to train")
	case r.WarmupEpochs > 0:
		return fmt.Errorf("streaming does not know how long an epoch is: give the warmup by warmup_steps or warmup_ratio in place of warmup_epochs")
	case r.Replay > 0:
		return fmt.Errorf("replay cannot be had with streaming, which does not know how many rows there are")
	}
	for _, d := range r.Data {
		if d.Path == "-" {
			return fmt.Errorf("streaming reads the data again in each epoch and after a stop, and standard input can be read once; without streaming it is kept in memory")
		}
	}
	return nil
}

// corpora returns what the stage reads, and what of it is learned.
func (s Stage) corpora() ([]data.Corpus, error) {
	o, err := ObjectiveNamed(s.Objective)
	if err != nil {
		return nil, err
	}
	return s.Data.Corpora(s.Columns, s.DataFormat, o)
}
