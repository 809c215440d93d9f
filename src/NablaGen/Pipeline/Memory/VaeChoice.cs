namespace NablaGen.Pipeline;

/// <summary>One way to decode, and what it takes beside the weights.</summary>
/// <param name="Name">What it is called on the screen, such as "whole frames".</param>
/// <param name="Bytes">Memory at its peak.</param>
public sealed record VaeChoice(string Name, long Bytes);
