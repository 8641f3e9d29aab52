# SPDX-License-Identifier: Apache-2.0
"""What may stay of a DICOM header, as data: an attribute stays only if its value is one that is listed here.

Attributes of the X-ray, fluoroscopy and secondary capture objects that describe the picture and its acquisition, each
with its range, or with the terms that the standard defines for it (PS3.3). Everything else can hold a name or a number
of a patient, by mistake or by a site's custom, and goes. Pixel description and times are written anew elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Numbers that an attribute may hold.

    Attributes:
        low: Smallest value.
        high: Largest value.
        count: Most values.
    """

    low: float
    high: float
    count: int = 1


_ANGLE, _LENGTH, _SIZE = Range(-360, 360), Range(-5000, 5000), Range(0, 5000)
_SPACING, _EDGE, _PIXEL = Range(1e-3, 100, 2), Range(-20000, 20000), Range(-32768, 65535)
_INDEX, _DOSE = Range(0, 65535), Range(0, 10000)

NUMBERS: Mapping[str, Range] = {
    # grey values and display
    "PixelPaddingValue": _PIXEL,
    "PixelPaddingRangeLimit": _PIXEL,
    "WindowCenter": Range(-70000, 70000, 8),
    "WindowWidth": Range(0, 70000, 8),
    "RescaleIntercept": Range(-70000, 70000),
    "RescaleSlope": Range(-10000, 10000),
    "PixelIntensityRelationshipSign": Range(-1, 1),
    "LossyImageCompressionRatio": Range(0, 1000, 8),
    "RecommendedDisplayFrameRate": Range(1, 500),
    "CineRate": Range(1, 500),
    "PreferredPlaybackSequencing": Range(0, 1),
    # geometry
    "PixelSpacing": _SPACING,
    "ImagerPixelSpacing": _SPACING,
    "NominalScannedPixelSpacing": _SPACING,
    "ObjectPixelSpacingInCenterOfBeam": _SPACING,
    "DetectorElementPhysicalSize": _SPACING,
    "DetectorElementSpacing": _SPACING,
    "DetectorBinning": Range(0, 100, 2),
    "DetectorActiveDimensions": Range(0, 5000, 2),
    "DetectorActiveOrigin": Range(-5000, 5000, 2),
    "FieldOfViewDimensions": Range(0, 5000, 2),
    "FieldOfViewDimensionsInFloat": Range(0, 5000, 2),
    "FieldOfViewOrigin": Range(-20000, 20000, 2),
    "FieldOfViewRotation": _ANGLE,
    "IntensifierSize": _SIZE,
    "IntensifierActiveDimensions": Range(0, 5000, 2),
    "DistanceSourceToDetector": _SIZE,
    "DistanceSourceToPatient": _SIZE,
    "DistanceSourceToIsocenter": _SIZE,
    "DistanceObjectToTableTop": _SIZE,
    "EstimatedRadiographicMagnificationFactor": Range(0, 20),
    "PositionerPrimaryAngle": _ANGLE,
    "PositionerSecondaryAngle": _ANGLE,
    "PositionerIsocenterPrimaryAngle": _ANGLE,
    "PositionerIsocenterSecondaryAngle": _ANGLE,
    "PositionerIsocenterDetectorRotationAngle": _ANGLE,
    "DetectorPrimaryAngle": _ANGLE,
    "DetectorSecondaryAngle": _ANGLE,
    "ColumnAngulation": _ANGLE,
    "TableAngle": _ANGLE,
    "TableHorizontalRotationAngle": _ANGLE,
    "TableHeadTiltAngle": _ANGLE,
    "TableCradleTiltAngle": _ANGLE,
    "TableXPositionToIsocenter": _LENGTH,
    "TableYPositionToIsocenter": _LENGTH,
    "TableZPositionToIsocenter": _LENGTH,
    "TableTopVerticalPosition": _LENGTH,
    "TableTopLongitudinalPosition": _LENGTH,
    "TableTopLateralPosition": _LENGTH,
    # shutter and collimator
    **{
        f"{kind}{edge}Edge": _EDGE
        for kind in ("Shutter", "Collimator")
        for edge in ("LeftVertical", "RightVertical", "UpperHorizontal", "LowerHorizontal")
    },
    "CenterOfCircularShutter": Range(-20000, 20000, 2),
    "RadiusOfCircularShutter": _EDGE,
    "VerticesOfThePolygonalShutter": Range(-20000, 20000, 64),
    "ShutterPresentationValue": _PIXEL,
    "CenterOfCircularCollimator": Range(-20000, 20000, 2),
    "RadiusOfCircularCollimator": _EDGE,
    "VerticesOfThePolygonalCollimator": Range(-20000, 20000, 64),
    # exposure
    "KVP": Range(0, 500),
    "XRayTubeCurrent": Range(0, 5000),
    "XRayTubeCurrentInmA": Range(0, 5000),
    "Exposure": _DOSE,
    "ExposureInmAs": _DOSE,
    "ExposureTime": Range(0, 60000),
    "ExposureTimeInms": Range(0, 60000),
    "AveragePulseWidth": Range(0, 1000),
    "FrameAcquisitionDuration": Range(0, 10000),
    "ImageAndFluoroscopyAreaDoseProduct": _DOSE,
    "FocalSpots": Range(0, 10, 4),
    "FilterThicknessMinimum": Range(0, 100, 4),
    "FilterThicknessMaximum": Range(0, 100, 4),
    "DetectorTemperature": Range(-50, 100),
    "ContrastBolusVolume": _SIZE,
    "ContrastBolusIngredientConcentration": _SIZE,
    # functional groups and references
    "FrameAcquisitionNumber": _INDEX,
    "InStackPositionNumber": _INDEX,
    "TemporalPositionIndex": _INDEX,
    "DimensionIndexValues": Range(0, 65535, 8),
    "ReferencedFrameNumber": Range(1, 65535, 64),
}
"""Numbers that are kept, by keyword; they are written anew with six significant digits."""

_YES_NO = "YES|NO"
_ACTIVE_SHAPES = "RECTANGLE|ROUND|HEXAGONAL"
_SHAPES = "RECTANGULAR|CIRCULAR|POLYGONAL"
_SIDES = "R|L|U|B"
_IMAGE_TYPES = (
    "ORIGINAL|DERIVED|PRIMARY|SECONDARY|MIXED|NONE|BIPLANE|OTHER|REFORMATTED|LOCALIZER|REF|SUBTRACTION|"
    "ADDITION|MAXIMUM|MEAN|MEDIAN|MINIMUM|STD_DEVIATION|VOLUME|SINGLE_A|SINGLE_B|SINGLE PLANE|BIPLANE A|"
    "BIPLANE B|SINGLE A|SINGLE B"
)

_TERMS: Mapping[str, str] = {
    "ImageType": _IMAGE_TYPES,
    "FrameType": _IMAGE_TYPES,
    "Modality": "XA|RF|DX|CR|RG|OT|XC|US|ES|CT|MR|MG|PX|IO|DG|GM",
    "ConversionType": "DV|DI|DF|WSD|SD|SI|DRW|SYN",
    "PresentationIntentType": "FOR PRESENTATION|FOR PROCESSING",
    "QualityControlImage": _YES_NO,
    "BurnedInAnnotation": _YES_NO,
    "RecognizableVisualFeatures": _YES_NO,
    "LossyImageCompression": "00|01",
    "LossyImageCompressionMethod": (
        "ISO_10918_1|ISO_14495_1|ISO_15444_1|ISO_15444_15|ISO_18181_1|ISO_13818_2|ISO_14496_10|ISO_23008_2"
    ),
    "PresentationLUTShape": "IDENTITY|INVERSE|LIN OD",
    "VOILUTFunction": "LINEAR|LINEAR_EXACT|SIGMOID",
    "RescaleType": "OD|HU|US",
    "ModalityLUTType": "OD|HU|US",
    "PixelIntensityRelationship": "LIN|LOG|DISP|OTHER",
    "PixelSpacingCalibrationType": "GEOMETRY|FIDUCIAL",
    "CalibrationImage": _YES_NO,
    "ContentQualification": "PRODUCT|RESEARCH|SERVICE",
    "VolumetricProperties": "VOLUME|SAMPLED|DISTORTED|MIXED",
    "PlanesInAcquisition": "SINGLE PLANE|BIPLANE|UNDEFINED",
    "ImageLaterality": _SIDES,
    "Laterality": _SIDES,
    "FrameLaterality": _SIDES,
    "ViewPosition": "AP|PA|LL|RL|RLD|LLD|RLO|LLO",
    "PatientPosition": "HFP|HFS|HFDR|HFDL|HFV|HFI|FFP|FFS|FFDR|FFDL|FFV|FFI|LFP|LFS|RFP|RFS",
    "BodyPartExamined": (
        "NECK|HEAD|HEADNECK|NECKCHEST|PHARYNX|LARYNX|ESOPHAGUS|MOUTH|JAW|MANDIBLE|SKULL|CSPINE|SPINE|CHEST|"
        "THORAX|TRACHEA|AIRWAY|STOMACH|ABDOMEN|PHARYNXLARYNX|NECKCHESTABDOMEN"
    ),
    "RadiationSetting": "SC|GR",
    "RadiationMode": "CONTINUOUS|PULSED",
    "FilterType": "STRIP|WEDGE|BUTTERFLY|MULTIPLE|FLAT|NONE",
    "FilterMaterial": "ALUMINUM|COPPER|MOLYBDENUM|RHODIUM|NIOBIUM|EUROPIUM|LEAD|SILVER|TIN|TANTALUM|NICKEL|MIXED",
    "Grid": "FIXED|FOCUSED|RECIPROCATING|PARALLEL|CROSSED|HONEYCOMB|NONE|IN",
    "AnodeTargetMaterial": "TUNGSTEN|MOLYBDENUM|RHODIUM",
    "RectificationType": "SINGLE PHASE|THREE PHASE|CONST POTENTIAL",
    "ExposureControlMode": "MANUAL|AUTOMATIC",
    "ExposureStatus": "NORMAL|ABORTED",
    "DetectorType": "DIRECT|SCINTILLATOR|STORAGE|FILM",
    "DetectorConfiguration": "AREA|SLOT",
    "DetectorActiveShape": _ACTIVE_SHAPES,
    "IntensifierActiveShape": _ACTIVE_SHAPES,
    "FieldOfViewShape": _ACTIVE_SHAPES,
    "FieldOfViewHorizontalFlip": _YES_NO,
    "ShutterShape": _SHAPES,
    "CollimatorShape": _SHAPES,
    "PositionerType": "CARM|COLUMN|NONE|MAMMOGRAPHIC|PANORAMIC|CEPHALOSTAT|RIGID",
    "PositionerMotion": "STATIC|DYNAMIC",
    "TableMotion": "STATIC|DYNAMIC",
    "TableType": "FIXED|TILTING|NONE",
    "CArmPositionerTabletopRelationship": _YES_NO,
    "ScanOptions": "EKG|PHY|TOMO|CHASE|STEP|ROTA",
    "ContrastBolusIngredient": "IODINE|GADOLINIUM|CARBON DIOXIDE|BARIUM|XENON",
}
TERMS: Mapping[str, frozenset[str]] = {keyword: frozenset(terms.split("|")) for keyword, terms in _TERMS.items()}
"""Defined terms that are kept, by keyword."""

MOST_TERMS = 8
"""Most values of an attribute with defined terms."""

ORIENTATION = re.compile(r"[APRLHF]{1,3}")
"""A value of Patient Orientation: up to three directions."""

CODED = frozenset(
    {
        "AnatomicRegionSequence",
        "AnatomicRegionModifierSequence",
        "PrimaryAnatomicStructureSequence",
        "PrimaryAnatomicStructureModifierSequence",
        "ViewCodeSequence",
        "ViewModifierCodeSequence",
        "PatientOrientationCodeSequence",
        "PatientOrientationModifierCodeSequence",
        "PatientGantryRelationshipCodeSequence",
        "ContrastBolusAgentSequence",
        "ContrastBolusAdministrationRouteSequence",
        "ContrastBolusIngredientCodeSequence",
        "DerivationCodeSequence",
        "PurposeOfReferenceCodeSequence",
    }
)
"""Sequences of codes: of an item only a known code and coded sequences inside it stay."""

SCHEMES = ("SCT", "DCM", "UCUM")
"""Coding schemes whose codes pydicom lists; those of SRT are written as their SCT counterparts."""

TABLES = frozenset({"ModalityLUTSequence", "VOILUTSequence"})
"""Sequences of grey tables: of an item only a monotone table stays."""

SEQUENCES = frozenset(
    {
        "ReferencedImageSequence",
        "SourceImageSequence",
        "DerivationImageSequence",
        "DimensionOrganizationSequence",
        "DimensionIndexSequence",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "FrameContentSequence",
        "PixelMeasuresSequence",
        "FrameAnatomySequence",
        "FrameVOILUTSequence",
        "PixelValueTransformationSequence",
        "XAXRFFrameCharacteristicsSequence",
        "FramePixelDataPropertiesSequence",
        "FieldOfViewSequence",
        "FrameDisplayShutterSequence",
        "FrameAcquisitionSequence",
        "FrameDetectorParametersSequence",
        "ProjectionPixelCalibrationSequence",
        "PositionerPositionSequence",
        "TablePositionSequence",
        "CollimatorShapeSequence",
        "PatientOrientationInFrameSequence",
        "IrradiationEventIdentificationSequence",
        "XRayFilterSequence",
    }
)
"""Other sequences that stay, with what may stay of their items."""

MAKERS = (
    "AGFA",
    "Canon Medical Systems",
    "CANON_MEC",
    "Carestream Health",
    "DMS Imaging",
    "FUJIFILM Corporation",
    "GE Healthcare",
    "GE MEDICAL SYSTEMS",
    "GE OEC Medical Systems",
    "Hitachi Medical Corporation",
    "Hologic",
    "KayPENTAX",
    "Konica Minolta",
    "OEC Medical Systems",
    "Omega Medical Imaging",
    "PENTAX Medical",
    "Philips",
    "Philips Healthcare",
    "Philips Medical Systems",
    "SHIMADZU",
    "SHIMADZU CORPORATION",
    "SIEMENS",
    "Siemens Healthineers",
    "Siemens Healthcare GmbH",
    "Swissray",
    "TIMS Medical",
    "TOSHIBA",
    "TOSHIBA_MEC",
    "TOSHIBA_MEC_US",
    "Varian",
    "Villa Sistemi Medicali",
    "Ziehm Imaging",
)
"""Makers of X-ray equipment whose names stay."""
