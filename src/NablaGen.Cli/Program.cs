using System.CommandLine;
using NablaGen.Cli;
using NablaGen.Cli.Commands;

var root = new RootCommand("Makes videos from text with Wan2.1 and NABLA sparse attention.")
{
    GenerateCommand.Create(),
    DecodeCommand.Create(),
    DoctorCommand.Create(),
};
return CommandRunner.Run(root, args);
