using System.CommandLine;
using NablaGen.Cli;
using NablaGen.Cli.Commands;
using NablaGen.Cli.Commands.Bench;

var root = new RootCommand("Make videos from text and pictures with Wan2.1, Wan2.2 and NABLA sparse attention.")
{
    GenerateCommand.Create(),
    BatchCommand.Create(),
    CompareCommand.Create(),
    CalibrateCommand.Create(),
    EvaluateCommand.Create(),
    DecodeCommand.Create(),
    DoctorCommand.Create(),
    DownloadCommand.Create(),
    InspectCommand.Create(),
    ConvertCommand.Create(),
    BenchCommand.Create(),
    CompletionCommand.Create(),
    TrainCommand.Create(),
};
root.Add(HelpCommand.Create(root));
ExampleHelp.AddTo(root, new Dictionary<string, string>
{
    [""] = GenerateCommand.Example,
    ["generate"] = GenerateCommand.Example,
    ["batch"] = BatchCommand.Example,
    ["compare"] = CompareCommand.Example,
    ["calibrate"] = CalibrateCommand.Example,
    ["evaluate"] = EvaluateCommand.Example,
    ["evaluate vae"] = EvaluateVaeCommand.Example,
    ["decode"] = DecodeCommand.Example,
    ["doctor"] = DoctorCommand.Example,
    ["download"] = DownloadCommand.Example,
    ["inspect"] = InspectCommand.Example,
    ["convert"] = ConvertCommand.Example,
    ["bench"] = BenchCommand.Example,
    ["bench dit"] = BenchDitCommand.Example,
    ["bench vae"] = BenchVaeCommand.Example,
    ["bench t5"] = BenchT5Command.Example,
    ["bench generate"] = BenchGenerateCommand.Example,
    ["bench kernels"] = BenchKernelsCommand.Example,
    ["completion"] = CompletionCommand.Example,
    ["help"] = HelpCommand.Example,
    ["train"] = TrainCommand.VaeExample,
    ["train vae"] = TrainCommand.VaeExample,
    ["train text"] = TrainCommand.TextExample,
    ["train dit"] = TrainCommand.DitExample,
    ["train preview"] = TrainPreviewCommand.Example,
});
return CommandRunner.Run(root, args);
