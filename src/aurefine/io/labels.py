"""Types of RELION's metadata labels."""

from typing import Literal, TypeAlias

__all__ = ["LabelKind", "label_kind", "may_be_infinite", "may_be_undefined"]

LabelKind: TypeAlias = Literal["double", "int", "bool", "string", "vector"]

_DOUBLE = """
AccumMotionEarly AccumMotionLate AccumMotionTotal AccuracyRotations AccuracyTranslationsAngst
AdaptiveOversampleFraction AmplitudeContrast AnglePsi AnglePsiFlipRatio AnglePsiPrior AngleRot
AngleRotPrior AngleTilt AngleTiltPrior AngstromResolution AutopickFigureOfMerit AveragePmax
BeamTiltX BeamTiltY BestResolutionThusFar BfactorUsedForSharpening ChangesOptimalClasses
ChangesOptimalOffsets ChangesOptimalOrientations ClassDistribution CoordinateX CoordinateY
CoordinateZ CorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps CorrelationFitGuinierPlot
CtfAstigmatism CtfBfactor CtfFigureOfMerit CtfIceRingDensity CtfMaxResolution CtfScalefactor
CurrentResolution DefocusAngle DefocusU DefocusV DetectorPixelSize EstimatedResolution
FinalResolution FittedInterceptGuinierPlot FittedSlopeGuinierPlot FourierCompleteness
FourierShellCorrelation FourierShellCorrelationCorrected FourierShellCorrelationMaskedMaps
FourierShellCorrelationParticleMaskFraction FourierShellCorrelationParticleMolWeight
FourierShellCorrelationUnmaskedMaps GoldStandardFsc GradCurrentStepsize GroupScaleCorrection
HelicalCentralProportion HelicalMaskTubeInnerDiameter HelicalMaskTubeOuterDiameter
HelicalOffsetStep HelicalRise HelicalRiseInitial HelicalSigmaDistance HelicalTrackLength
HelicalTrackLengthAngst HelicalTwist HelicalTwistInitial HighresLimitExpectation ImagePixelSize
JoinHalvesUntilThisResolution LogAmplitudesIntercept LogAmplitudesMTFCorrected
LogAmplitudesOriginal LogAmplitudesSharpened LogAmplitudesWeighted LogLikeliContribution
LogLikelihood LowresLimitExpectation MagMat00 MagMat01 MagMat10 MagMat11 Magnification
MaxValueProbDistribution MicrographOriginalPixelSize MicrographPixelSize MolecularWeight MtfValue
NormCorrection NormCorrectionAverage OffsetRange OffsetRangeOriginal OffsetRangeX OffsetRangeY
OffsetRangeZ OffsetStep OffsetStepOriginal OrientationDistribution OriginX OriginXAngst
OriginXPrior OriginXPriorAngst OriginY OriginYAngst OriginYPrior OriginYPriorAngst OriginZ
OriginZAngst OriginZPrior OriginZPriorAngst OverallAccuracyRotations
OverallAccuracyTranslationsAngst OverallFourierCompleteness PaddingFactor
ParticleBoxFractionMolecularWeight ParticleBoxFractionSolventMask ParticleDiameter PhaseShift
PixelSize PsiStep PsiStepOriginal RandomiseFrom ReferenceSigma2 ReferenceTau2 Resolution
ResolutionInversePixel ResolutionSquared SamplingPerturbFactor SamplingPerturbInstance
SgdClassInactivityThreshold SgdFinalIterationsFraction SgdFinalResolution
SgdInitialIterationsFraction SgdInitialResolution SgdMinimumResolution SgdMuFactor
SgdSigma2FudgeInitial SgdStepsize Sigma2Noise SigmaOffsetsAngst SigmaPriorPsiAngle
SigmaPriorRotAngle SigmaPriorTiltAngle SmallestChangesOffsets SmallestChangesOrientations
SpectralOrientabilityContribution SphericalAberration SsnrMap Tau2FudgeArg Tau2FudgeFactor
TiltAngleLimit Voltage
"""

_INT = """
AdaptiveOversampleOrder AutoLocalSearchesHealpixOrder BeamTiltClass ClassNumber CurrentImageSize
CurrentIteration DataDimensionality FourierSpaceInterpolator GradEmIters GradSubsetOrder
GradSuspendFinerSamplingIter GradSuspendLocalSamplingIter GroupNrParticles GroupNumber
HasLargeSizeIncreaseIterationsAgo HealpixOrder HealpixOrderOriginal HelicalTubeID
ImageDimensionality ImageSize IncrementImageSize JobType MaxNumberOfPooledParticles
MaximumCoarseImageSize MaximumSignificantPoses MinRadiusNnInterpolation NrBodies NrClasses NrGroups
NrHelicalNStart NrOfSignificantSamples NrOpticsGroups NumberOfIterWithoutChangingAssignments
NumberOfIterWithoutResolutionGain NumberOfIterations OpticsGroup OrientationalPriorMode
OriginalImageSize ParticleSelectionType PipeLineJobCounter PipeLineNodeType
PipeLineNodeTypeLabelDepth PipeLineProcessStatus PipeLineProcessType RandomSeed RandomSubset
ReferenceDimensionality SgdFinalIterations SgdFinalSubsetSize SgdInBetweenIterations
SgdInitialIterations SgdInitialSubsetSize SgdSigma2FudgeHalflife SgdSubsetSize SgdWriteEverySubset
SmallestChangesClasses SpectralIndex WidthMaskEdge
"""

_BOOL = """
BlushNoSpectralTrailing CtfDataAreCtfCorrected CtfDataAreCtfPremultiplied CtfDataArePhaseFlipped
DoAutoRefine DoAutoSampling DoBlush DoCenterClasses DoCorrectCtf DoCorrectNorm DoCorrectScale
DoExternalReconstruct DoFastSubsetOptimisation DoGradientRefine DoHelicalRefine
DoIgnoreCtfUntilFirstPeak DoMapEstimation DoOnlyFlipCtfPhases DoSkipAlign DoSkipRotate
DoSolventFlattening DoSolventFscCorrection DoSplitRandomHalves DoStochasticEM
DoStochasticGradientDescent DoZeroMask FixSigmaNoiseEstimates FixSigmaOffsetEstimates
GradHasConverged HasConverged HasHighFscAtResolLimit HelicalKeepTiltPriorFixed
HelicalSymmetryLocalRefinement IgnoreHelicalSymmetry Is3DSampling Is3DTranslationalSampling IsFlip
IsHelix JobIsContinue JobIsTomo RefsAreCtfCorrected SgdSkipAnneal
"""

_VECTOR = "EvenZernike OddZernike"

_STRING = """
BodyStarFile CtfImage CtfPowerSpectrum ExperimentalDataStarFile FourierMask GroupName ImageName
JobOptionValue JobOptionVariable JobTypeLabel LocalSymmetryFile MaskName MicrographCoordinates
MicrographMetadata MicrographMovieName MicrographName ModelStarFile ModelStarFile2 MtfFileName
OpticsGroupName OrientSamplingStarFile OutputRootName PipeLineEdgeFromNode PipeLineEdgeProcess
PipeLineEdgeToNode PipeLineNodeName PipeLineNodeTypeLabel PipeLineProcessAlias PipeLineProcessName
PipeLineProcessStatusLabel PipeLineProcessTypeLabel PostprocessedMap PostprocessedMapMasked
ReconstructImageName ReferenceImage SgdStepsizeScheme SolventMask2Name SolventMaskName
SymmetryGroup Tau2FudgeScheme TauSpectrumName TomoTomogramsFile TomoTrajectoriesFile
UnfilteredMapHalf1 UnfilteredMapHalf2
"""

# Figures of merit that earlier programs sometimes leave undefined; no calculation uses them.
_MAY_BE_UNDEFINED = """
AccumMotionEarly AccumMotionLate AccumMotionTotal AutopickFigureOfMerit CtfAstigmatism
CtfFigureOfMerit CtfIceRingDensity CtfMaxResolution LogLikeliContribution
"""

# RELION writes "inf" as long as there is no estimate.
_MAY_BE_INFINITE = "CurrentResolution EstimatedResolution"


def _names(text: str) -> frozenset[str]:
    return frozenset(f"rln{name}" for name in text.split())


_INFINITE_LABELS = _names(_MAY_BE_INFINITE)
_UNDEFINED_LABELS = _names(_MAY_BE_UNDEFINED)
_KINDS: dict[str, LabelKind] = {
    **dict.fromkeys(_names(_DOUBLE), "double"),
    **dict.fromkeys(_names(_INT), "int"),
    **dict.fromkeys(_names(_BOOL), "bool"),
    **dict.fromkeys(_names(_VECTOR), "vector"),
    **dict.fromkeys(_names(_STRING), "string"),
}


def label_kind(label: str) -> LabelKind:
    """Type of the values of a label.

    Parameters
    ----------
    label : str
        Name without the leading underscore, such as ``rlnImageName``.

    Returns
    -------
    kind : "double", "int", "bool", "string" or "vector"
        Labels that aurefine does not know are "string": their text is kept unchanged.
    """
    return _KINDS.get(label, "string")


def may_be_undefined(label: str) -> bool:
    """Whether ``nan`` or ``inf`` in this column is harmless; it is read as 0 then, as in RELION."""
    return label in _UNDEFINED_LABELS


def may_be_infinite(label: str) -> bool:
    """Whether ``inf`` is a proper value of this label: a resolution that is not known yet."""
    return label in _INFINITE_LABELS
